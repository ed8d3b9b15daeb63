// Numbers, times and durations as people read them, and the other way round.

import { settings } from "./settings.js";

const PREFIXES = [[1e24, "Y"], [1e21, "Z"], [1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"],
  [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];

/** How many decimals show a step such as 0.25 exactly. */
function decimalsOf(step) {
  let decimals = 0;
  for (let rest = step; decimals < 9 && Math.abs(rest - Math.round(rest)) > 1e-6 * rest; rest *= 10) decimals++;
  return decimals;
}

/**
 * A value on an axis whose ticks are `step` apart: one SI prefix fitting `largest` for the whole axis and as many
 * decimals as the step needs, so that ticks line up and differ.
 */
export function axisFormatter(largest, step) {
  if (!(largest > 0)) return (value) => String(value);
  const [scale, prefix] = PREFIXES.find(([limit]) => largest >= limit * 0.9999) ?? PREFIXES.at(-1);
  if (largest < 1 && largest >= 0.01) {
    const decimals = decimalsOf(step);
    return (value) => value.toFixed(decimals);
  }
  const decimals = decimalsOf(step / scale);
  return (value) => (value === 0 ? "0" : (value / scale).toFixed(decimals) + prefix);
}

/** A single value, nine digits at most. */
export function formatValue(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(Number(value.toPrecision(9)));
}

/** 12345 → "12,345". */
export const formatCount = (n) => Number(n).toLocaleString("en");

/** Bytes in the unit that leaves one to three digits before the point. */
export function formatBytes(n) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${unit ? n.toFixed(1) : n} ${units[unit]}`;
}

const UNITS = [["y", 365 * 86400e3], ["w", 7 * 86400e3], ["d", 86400e3], ["h", 3600e3], ["m", 60e3], ["s", 1e3], ["ms", 1]];

/** "1h30m" → milliseconds, or null. A plain number means seconds. */
export function parseDuration(text) {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  const match = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(trimmed);
  if (!match || trimmed === "") return null;
  return UNITS.reduce((sum, [, size], i) => sum + Number(match[i + 1] ?? 0) * size, 0);
}

/** Milliseconds → "1h30m". */
export function formatDuration(ms) {
  let rest = Math.round(ms), text = "";
  for (const [unit, size] of UNITS) {
    // As upstream prints them: years and weeks only when nothing is left over.
    if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
    const n = Math.floor(rest / size);
    if (n > 0) text += n + unit;
    rest -= n * size;
  }
  return text || "0s";
}

/** Seconds → "3.4 ms", "2.1 s", "5 m 3 s": for durations that were measured. */
export function formatSeconds(seconds) {
  if (!(seconds >= 0)) return "–";
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 2 : seconds < 0.1 ? 1 : 0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const s = Math.round(seconds);
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const two = (n) => String(n).padStart(2, "0");

/** The fields of an instant in the zone that is shown. */
export function timeFields(ms) {
  const d = new Date(ms);
  return settings.utc
    ? { year: d.getUTCFullYear(), month: d.getUTCMonth(), day: d.getUTCDate(), hour: d.getUTCHours(), minute: d.getUTCMinutes(), second: d.getUTCSeconds(), ms: d.getUTCMilliseconds() }
    : { year: d.getFullYear(), month: d.getMonth(), day: d.getDate(), hour: d.getHours(), minute: d.getMinutes(), second: d.getSeconds(), ms: d.getMilliseconds() };
}

/** How far the shown zone is ahead of UTC at that instant, in ms. */
export const zoneOffset = (ms) => (settings.utc ? 0 : -new Date(ms).getTimezoneOffset() * 60e3);

/** "2026-01-31 14:05:09", with milliseconds only where there are any. */
export function formatTime(ms) {
  const f = timeFields(ms);
  const fraction = f.ms ? `.${String(f.ms).padStart(3, "0")}` : "";
  return `${f.year}-${two(f.month + 1)}-${two(f.day)} ${two(f.hour)}:${two(f.minute)}:${two(f.second)}${fraction}`;
}

export const formatDate = (iso) => {
  const ms = Date.parse(iso);
  return Number.isNaN(ms) || ms <= 0 ? "never" : formatTime(ms);
};

/** The value of an `<input type=datetime-local step=1>`. */
export const toInput = (ms) => formatTime(Math.floor(ms / 1000) * 1000).replace(" ", "T");

export function fromInput(text) {
  if (!text) return null;
  const ms = Date.parse(settings.utc ? `${text}Z` : text);
  return Number.isNaN(ms) ? null : ms;
}

/** In the address, times are UTC whatever is shown: `2026-01-31 14:05:09`, as in Prometheus's own interface. */
export const toAddress = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
export function fromAddress(text) {
  const ms = Date.parse(`${(text ?? "").replace(" ", "T")}Z`);
  return Number.isNaN(ms) ? null : ms;
}

const PLAIN_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const PLAIN_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const quoted = (text) => `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

/** A metric's name and its labels as they are written in an expression: `["name", [["label", "\"value\""], …]]`. */
export function seriesParts(metric) {
  const name = metric.__name__ ?? "";
  const labels = Object.keys(metric).filter((key) => key !== "__name__").sort()
    .map((key) => [PLAIN_LABEL.test(key) ? key : quoted(key), quoted(metric[key])]);
  return PLAIN_NAME.test(name) || name === "" ? [name, labels] : ["", [[quoted(name), null], ...labels]];
}

/** Each series' name without the labels that all of them share, for where space is short. */
export function shortNames(metrics) {
  if (metrics.length < 2) return metrics.map(seriesName);
  const shared = Object.entries(metrics[0]).filter(([key, value]) => metrics.every((metric) => metric[key] === value)).map(([key]) => key);
  return metrics.map((metric) => seriesName(Object.fromEntries(Object.entries(metric).filter(([key]) => !shared.includes(key)))));
}

/** `name{a="b"}`. */
export function seriesName(metric) {
  const [name, labels] = seriesParts(metric);
  const inside = labels.map(([key, value]) => (value === null ? key : `${key}=${value}`)).join(", ");
  return inside || !name ? `${name}{${inside}}` : name;
}
