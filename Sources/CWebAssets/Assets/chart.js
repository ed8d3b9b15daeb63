// A line chart on canvas. Two layers: the lines, drawn when the data, the size or the visible series change, and the
// crosshair above them, drawn on every movement of the pointer. What is drawn is bounded by the pixels and not by the
// points: a column of pixels shows the first, lowest, highest and last value of the points that fall into it.

import { element } from "./dom.js";
import { axisFormatter, formatTime, formatValue } from "./format.js";
import { timeLabel, timeTicks, valueTicks } from "./ticks.js";

const TOP = 10, RIGHT = 14, BOTTOM = 26;
const TOOLTIP_ROWS = 16;
// Beyond the hues a series is told apart by its dashes.
const HUES = 8, DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];

/** The hue (0…7) and dash pattern of the i-th series; the hues are `--series-0` … in the style sheet. */
export const seriesStyle = (i) => ({ hue: i % HUES, dash: DASHES[Math.floor(i / HUES) % DASHES.length] });

/**
 * Data: `{startMs, stepMs, count, series: [{name, values: Float64Array}]}` where `values[i]` belongs to
 * `startMs + i × stepMs` and NaN is a gap. `onZoom(startMs, endMs)` is called when a range was dragged.
 */
export class Chart {
  #data = { startMs: 0, stepMs: 1, count: 0, series: [] };
  #visible = [];          // indices of the series drawn, in order
  #highlight = -1;
  #stacked = false;
  #tops = null;           // when stacked: series index → Float64Array of upper edges
  #plot = null;           // geometry of the last drawing
  #hover = null;          // {x, y} in CSS pixels, or null
  #drag = null;           // x where a drag began
  #frame = 0;

  constructor(onZoom) {
    this.onZoom = onZoom;
    this.lines = element("canvas", { class: "lines", "aria-hidden": "true" });
    this.overlay = element("canvas", { class: "overlay", tabindex: "0", role: "img", "aria-label": "Graph. Arrow keys move the crosshair; the Table tab has the values." });
    this.tooltip = element("div", { class: "tooltip", hidden: true });
    this.node = element("div", { class: "chart" }, this.lines, this.overlay, this.tooltip);
    this.overlay.addEventListener("pointerdown", (e) => this.#pointerDown(e));
    this.overlay.addEventListener("pointermove", (e) => this.#pointerMove(e));
    this.overlay.addEventListener("pointerup", (e) => this.#pointerUp(e));
    this.overlay.addEventListener("pointercancel", () => this.#leave());
    this.overlay.addEventListener("pointerleave", () => { if (this.#drag === null) this.#leave(); });
    this.overlay.addEventListener("blur", () => this.#leave());
    this.overlay.addEventListener("keydown", (e) => this.#key(e));
    new ResizeObserver(() => this.redraw()).observe(this.node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  setData(data) {
    this.#data = data;
    this.#highlight = -1;
    this.setVisible(data.series.map((_, i) => i));
  }

  setVisible(indices) {
    this.#visible = indices;
    this.#stack();
    this.redraw();
  }

  setStacked(stacked) {
    this.#stacked = stacked;
    this.#stack();
    this.redraw();
  }

  setHighlight(index) {
    if (this.#highlight === index) return;
    this.#highlight = index;
    this.redraw();
  }

  redraw() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
      this.#drawOverlay();
    });
  }

  // ---- What is to be drawn

  #stack() {
    this.#tops = null;
    if (!this.#stacked) return;
    const sums = new Float64Array(this.#data.count);
    this.#tops = new Map();
    for (const index of this.#visible) {
      const { values } = this.#data.series[index];
      const top = new Float64Array(values.length);
      for (let i = 0; i < values.length; i++) {
        if (Number.isFinite(values[i])) sums[i] += values[i];
        top[i] = Number.isFinite(values[i]) ? sums[i] : NaN;
      }
      this.#tops.set(index, top);
    }
  }

  /** The numbers of a series as drawn: its values, or its upper edge in the stack. */
  #drawn(index) {
    return this.#tops?.get(index) ?? this.#data.series[index].values;
  }

  #bounds() {
    let low = Infinity, high = -Infinity;
    for (const index of this.#visible) {
      const values = this.#drawn(index);
      for (let i = 0; i < values.length; i++) {
        const v = values[i];
        if (v < low && v !== -Infinity) low = v;
        if (v > high && v !== Infinity) high = v;
      }
    }
    if (low > high) return [0, 1];
    // Zero belongs on the axis unless the values live far from it; an area without its zero would lie.
    if (this.#stacked || (low > 0 && low < 0.6 * high)) low = Math.min(0, low);
    if (this.#stacked || (high < 0 && high > 0.6 * low)) high = Math.max(0, high);
    if (low === high) {
      const room = Math.abs(low) * 0.1 || 1;
      return [low === 0 ? 0 : low - room, high + room];
    }
    return [low, high];
  }

  // ---- Drawing

  #draw() {
    const width = this.node.clientWidth, height = this.node.clientHeight, { startMs, stepMs, count } = this.#data;
    if (width < 50 || height < 50) return;
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.lines, this.overlay]) {
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    }
    const style = getComputedStyle(this.node), color = (name) => style.getPropertyValue(name).trim();
    const c = this.lines.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = `11px ${style.fontFamily}`;

    const [low, high] = this.#bounds();
    const { ticks, step } = valueTicks(low, high, Math.max(2, Math.floor((height - TOP - BOTTOM) / 44)));
    const format = axisFormatter(Math.max(Math.abs(ticks[0]), Math.abs(ticks.at(-1))), step);
    const labels = ticks.map(format);
    const left = Math.ceil(Math.max(28, ...labels.map((text) => c.measureText(text).width)) + 12);
    const plot = {
      left, right: width - RIGHT, top: TOP, bottom: height - BOTTOM, width, height, ratio,
      startMs, endMs: startMs + Math.max(1, (count - 1) * stepMs), low: ticks[0], high: ticks.at(-1),
      hues: Array.from({ length: HUES }, (_, i) => color(`--series-${i}`)), ink: color("--ink"), muted: color("--muted"),
      accent: color("--accent"), surface: color("--surface"),
    };
    plot.x = (ms) => left + ((ms - plot.startMs) / (plot.endMs - plot.startMs)) * (plot.right - left);
    plot.y = (value) => plot.bottom - ((value - plot.low) / (plot.high - plot.low)) * (plot.bottom - plot.top);
    this.#plot = plot;

    c.strokeStyle = color("--grid");
    c.fillStyle = plot.muted;
    c.lineWidth = 1;
    c.textAlign = "right";
    c.textBaseline = "middle";
    ticks.forEach((tick, i) => {
      const y = Math.round(plot.y(tick)) + 0.5;
      line(c, left, y, plot.right, y);
      c.fillText(labels[i], left - 8, y);
    });
    c.textAlign = "center";
    c.textBaseline = "top";
    const times = timeTicks(plot.startMs, plot.endMs, Math.floor((plot.right - left) / 84));
    for (const tick of times.ticks) {
      const x = Math.round(plot.x(tick)) + 0.5;
      line(c, x, plot.top, x, plot.bottom);
      const text = timeLabel(tick, times.step), half = c.measureText(text).width / 2;
      c.fillText(text, Math.min(x, width - half - 2), plot.bottom + 8);
    }

    c.save();
    c.beginPath();
    c.rect(left, plot.top - 4, plot.right - left + 4, plot.bottom - plot.top + 8);
    c.clip();
    c.lineJoin = "round";
    // The highlighted series last, so that it lies on top; stacked areas from the top of the pile downwards.
    const order = this.#stacked ? [...this.#visible].reverse() : this.#visible;
    for (const index of order) if (index !== this.#highlight) this.#drawSeries(c, index);
    if (this.#visible.includes(this.#highlight)) this.#drawSeries(c, this.#highlight);
    c.restore();
  }

  #drawSeries(c, index) {
    const plot = this.#plot, { hue, dash } = seriesStyle(index);
    const dimmed = this.#highlight >= 0 && this.#highlight !== index;
    c.strokeStyle = c.fillStyle = plot.hues[hue];
    c.globalAlpha = dimmed ? 0.15 : 1;
    c.lineWidth = this.#highlight === index ? 2.5 : 1.5;
    c.setLineDash(this.#stacked ? [] : dash);
    const runs = this.#runs(this.#drawn(index));
    for (const run of runs) {
      if (this.#stacked) {
        // Painted down to the axis: the areas drawn after this one lie below it and cover the rest.
        c.beginPath();
        c.moveTo(run[0], plot.y(0));
        for (let i = 0; i < run.length; i += 2) c.lineTo(run[i], run[i + 1]);
        c.lineTo(run[run.length - 2], plot.y(0));
        c.closePath();
        c.save();
        c.globalAlpha = 1;
        c.fillStyle = plot.surface;
        c.fill();
        c.restore();
        c.globalAlpha = dimmed ? 0.12 : 0.45;
        c.fill();
        c.globalAlpha = dimmed ? 0.15 : 1;
      }
      if (run.length === 2) {
        // A value with a gap on both sides has no line: a dot shows it.
        c.beginPath();
        c.arc(run[0], run[1], 2, 0, 2 * Math.PI);
        c.fill();
        continue;
      }
      c.beginPath();
      c.moveTo(run[0], run[1]);
      for (let i = 2; i < run.length; i += 2) c.lineTo(run[i], run[i + 1]);
      c.stroke();
    }
    c.globalAlpha = 1;
    c.setLineDash([]);
  }

  /** The polylines of a series, `[x, y, x, y, …]`, one for each stretch without a gap, at most four points a pixel column. */
  #runs(values) {
    const plot = this.#plot, n = values.length, runs = [];
    const scale = (plot.bottom - plot.top) / (plot.high - plot.low), y = (v) => plot.bottom - (v - plot.low) * scale;
    const dx = n > 1 ? (plot.right - plot.left) / (n - 1) : 0;
    const dense = n > 2 * (plot.right - plot.left) * plot.ratio;
    let run = null;
    if (!dense) {
      for (let i = 0; i < n; i++) {
        if (!Number.isFinite(values[i])) { run = null; continue; }
        if (!run) runs.push(run = []);
        run.push(plot.left + i * dx, y(values[i]));
      }
      return runs;
    }
    let column = -1, low = 0, high = 0, last = 0;
    const flush = () => {
      if (!run || column < 0) return;
      const x = plot.left + column / plot.ratio;
      run.push(x, y(low), x, y(high), x, y(last));
      column = -1;
    };
    for (let i = 0; i < n; i++) {
      const v = values[i];
      if (!Number.isFinite(v)) { flush(); run = null; continue; }
      const at = Math.floor(i * dx * plot.ratio);
      if (!run) runs.push(run = []);
      if (at !== column) {
        flush();
        column = at;
        low = high = v;
        run.push(plot.left + at / plot.ratio, y(v));
      }
      if (v < low) low = v;
      if (v > high) high = v;
      last = v;
    }
    flush();
    return runs;
  }

  // ---- The crosshair

  #drawOverlay() {
    const plot = this.#plot;
    if (!plot) return;
    const c = this.overlay.getContext("2d");
    c.setTransform(plot.ratio, 0, 0, plot.ratio, 0, 0);
    c.clearRect(0, 0, plot.width, plot.height);
    this.tooltip.hidden = true;
    if (!this.#hover || this.#data.count === 0) return;
    const x = Math.min(Math.max(this.#hover.x, plot.left), plot.right);

    if (this.#drag !== null && Math.abs(x - this.#drag) > 3) {
      c.globalAlpha = 0.18;
      c.fillStyle = plot.accent;
      c.fillRect(Math.min(x, this.#drag), plot.top, Math.abs(x - this.#drag), plot.bottom - plot.top);
      c.globalAlpha = 1;
    }
    const i = this.#indexAt(x), ms = this.#data.startMs + i * this.#data.stepMs;
    const at = Math.round(plot.x(ms)) + 0.5;
    c.strokeStyle = plot.muted;
    c.setLineDash([3, 3]);
    line(c, at, plot.top, at, plot.bottom);
    c.setLineDash([]);

    const rows = [];
    for (const index of this.#visible) {
      const value = this.#data.series[index].values[i];
      if (!Number.isNaN(value)) rows.push({ index, value, y: plot.y(this.#drawn(index)[i]) });
    }
    for (const row of rows) {
      if (!Number.isFinite(row.y)) continue;
      c.beginPath();
      c.arc(at, row.y, 3.5, 0, 2 * Math.PI);
      c.fillStyle = plot.hues[seriesStyle(row.index).hue];
      c.fill();
      c.strokeStyle = plot.surface;
      c.stroke();
    }
    this.#showTooltip(rows, ms, at);
  }

  #showTooltip(rows, ms, at) {
    rows.sort((a, b) => b.value - a.value);
    let nearest = null;
    if (this.#hover.y !== null) {
      for (const row of rows) if (!nearest || Math.abs(row.y - this.#hover.y) < Math.abs(nearest.y - this.#hover.y)) nearest = row;
    }
    // Too many for the box: those around the one that is pointed at.
    const first = rows.length <= TOOLTIP_ROWS || !nearest ? 0
      : Math.min(Math.max(0, rows.indexOf(nearest) - TOOLTIP_ROWS / 2), rows.length - TOOLTIP_ROWS);
    const shown = rows.slice(first, first + TOOLTIP_ROWS);
    this.tooltip.replaceChildren(
      element("div", { class: "when" }, formatTime(ms)),
      shown.length === 0 ? element("div", { class: "muted" }, "no value here") : "",
      ...shown.map((row) => element("div", { class: row === nearest ? "row nearest" : "row" },
        element("span", { class: `swatch hue-${seriesStyle(row.index).hue}` }),
        element("span", { class: "name" }, this.#data.series[row.index].name),
        element("span", { class: "value" }, formatValue(row.value)))),
      rows.length > shown.length ? element("div", { class: "muted" }, `${rows.length - shown.length} more`) : "");
    this.tooltip.hidden = false;
    const box = this.tooltip.getBoundingClientRect(), { width, height } = this.#plot;
    const rightOf = at + 14, leftOf = at - 14 - box.width;
    const x = rightOf + box.width <= width ? rightOf : leftOf >= 0 ? leftOf : Math.max(0, width - box.width);
    const y = Math.min(Math.max(0, (this.#hover.y ?? 0) - box.height / 2), Math.max(0, height - box.height));
    this.tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  #indexAt(x) {
    const { left, right } = this.#plot;
    return Math.min(this.#data.count - 1, Math.max(0, Math.round(((x - left) / (right - left)) * (this.#data.count - 1))));
  }

  #timeAt(x) {
    const { left, right, startMs, endMs } = this.#plot;
    return startMs + ((Math.min(Math.max(x, left), right) - left) / (right - left)) * (endMs - startMs);
  }

  #pointerDown(event) {
    if (event.button !== 0 || event.pointerType === "touch" || !this.#plot) return;
    this.#drag = Math.min(Math.max(event.offsetX, this.#plot.left), this.#plot.right);
    this.overlay.setPointerCapture(event.pointerId);
  }

  #pointerMove(event) {
    this.#hover = { x: event.offsetX, y: event.offsetY };
    this.#drawOverlay();
  }

  #pointerUp(event) {
    if (this.#drag === null) return;
    const from = this.#drag;
    this.#drag = null;
    if (Math.abs(event.offsetX - from) > 5) {
      const [a, b] = [this.#timeAt(from), this.#timeAt(event.offsetX)].sort((p, q) => p - q);
      this.onZoom(a, b);
    }
    this.#drawOverlay();
  }

  #leave() {
    this.#hover = this.#drag = null;
    this.#drawOverlay();
  }

  #key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === "Escape") this.#leave();
    if (by === undefined || !this.#plot || this.#data.count === 0) return;
    event.preventDefault();
    const i = this.#hover ? Math.min(this.#data.count - 1, Math.max(0, this.#indexAt(this.#hover.x) + by)) : this.#data.count - 1;
    this.#hover = { x: this.#plot.x(this.#data.startMs + i * this.#data.stepMs), y: null };
    this.#drawOverlay();
  }
}

function line(c, x1, y1, x2, y2) {
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}
