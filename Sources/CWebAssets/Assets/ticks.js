// Where the lines of a grid go: round numbers for values, round times of the shown zone for the time axis.

import { timeFields, zoneOffset } from "./format.js";

/** Round numbers from at or below `low` to at or above `high`, about `count` of them, and their distance. */
export function valueTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => power * m >= raw * 0.999) ?? 10);
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  const ticks = [];
  // Multiples of the step, not a running sum: a sum would drift and show 0.30000000000000004.
  for (let i = first; i <= last && ticks.length < 100; i++) ticks.push(i * step);
  return { ticks, step };
}

const S = 1e3, M = 60 * S, H = 60 * M, D = 24 * H;
const TIME_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 15 * M,
  30 * M, H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 7 * D, 14 * D, 30 * D, 91 * D, 182 * D, 365 * D];

/** Times between `start` and `end` (ms), at most `count` of them. */
export function timeTicks(start, end, count) {
  const step = TIME_STEPS.find((s) => (end - start) / s <= Math.max(1, count)) ?? 365 * D * Math.ceil((end - start) / (365 * D * count));
  const offset = zoneOffset(start);
  const ticks = [];
  for (let t = Math.ceil((start + offset) / step) * step - offset; t <= end && ticks.length < 100; t += step) ticks.push(t);
  return { ticks, step };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

/** The label of a time tick: as exact as the step, the date at midnight. */
export function timeLabel(ms, step) {
  const f = timeFields(ms);
  if (step >= 91 * D) return `${MONTHS[f.month]} ${f.year}`;
  if (step >= D || (f.hour === 0 && f.minute === 0 && f.second === 0 && f.ms === 0)) return `${MONTHS[f.month]} ${f.day}`;
  const clock = `${two(f.hour)}:${two(f.minute)}`;
  if (step >= M) return clock;
  return step >= S ? `${clock}:${two(f.second)}` : `${clock}:${two(f.second)}.${String(f.ms).padStart(3, "0")}`;
}
