// The graph with its legend. The chart draws numbers; here an answer of the API becomes numbers.

import { Chart, seriesStyle } from "./chart.js";
import { element } from "./dom.js";
import { formatCount, seriesName, shortNames } from "./format.js";
import { seriesLabel } from "./series-label.js";

// Ten thousand legend rows would be slower than the graph, and nobody reads them.
const LEGEND_ROWS = 60;

export class GraphView {
  #series = [];
  #visible = new Set();
  #all = false;         // the whole legend is shown
  #names = "";

  constructor(onZoom) {
    this.chart = new Chart(onZoom);
    this.notes = element("p", { class: "muted notes", hidden: true });
    this.legend = element("ul", { class: "legend-list", "aria-label": "Series" });
    this.more = element("button", { type: "button", class: "quiet", hidden: true, on: { click: () => { this.#all = true; this.#showLegend(); } } });
    this.hint = element("p", { class: "muted hint" }, "Click a series to see it alone, with Ctrl or ⌘ to hide it. Drag in the graph to zoom.");
    this.node = element("div", {}, this.chart.node, this.notes, this.legend, this.more, this.hint);
  }

  redraw() { this.chart.redraw(); }
  setStacked(stacked) { this.chart.setStacked(stacked); }

  setData({ data, startMs, stepMs, count }) {
    let histograms = 0;
    this.#series = [];
    for (const { metric, values, histograms: buckets } of data.result) {
      if (!values) { histograms++; continue; }
      const numbers = new Float64Array(count).fill(NaN);
      for (const [seconds, text] of values) {
        const i = Math.round((seconds * 1000 - startMs) / stepMs);
        if (i >= 0 && i < count) numbers[i] = text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
      }
      if (buckets) histograms++;
      this.#series.push({ name: "", metric, values: numbers });
    }
    shortNames(this.#series.map((s) => s.metric)).forEach((name, i) => { this.#series[i].name = name; });
    this.notes.hidden = histograms === 0;
    this.notes.textContent = `${formatCount(histograms)} series of native histograms are not drawn; histogram_quantile() or histogram_avg() makes lines of them.`;

    const names = this.#series.map((s) => seriesName(s.metric)).join("\n");
    // A refresh brings the same series: what was hidden stays hidden.
    const same = names === this.#names;
    this.#names = names;
    this.chart.setData({ startMs, stepMs, count, series: this.#series });
    if (same) return this.#apply();
    this.#all = false;
    this.#visible = new Set(this.#series.keys());
    this.#showLegend();
    this.#apply();
  }

  #showLegend() {
    const shown = this.#all ? this.#series.length : Math.min(this.#series.length, LEGEND_ROWS);
    this.legend.replaceChildren(...this.#series.slice(0, shown).map((series, i) => {
      const { hue, dash } = seriesStyle(i);
      return element("li", {}, element("button", {
        type: "button", class: "legend-row", "aria-pressed": String(this.#visible.has(i)),
        on: {
          click: (e) => this.#click(i, e.ctrlKey || e.metaKey || e.shiftKey),
          pointerenter: () => { if (this.#visible.has(i)) this.chart.setHighlight(i); },
          pointerleave: () => this.chart.setHighlight(-1),
        },
      }, element("span", { class: `swatch hue-${hue}${dash.length ? " dashed" : ""}` }), seriesLabel(series.metric)));
    }));
    this.more.hidden = shown === this.#series.length;
    this.more.textContent = `Show all ${formatCount(this.#series.length)} series in the legend`;
    this.hint.hidden = this.#series.length < 2;
  }

  #click(index, toggle) {
    const alone = this.#visible.size === 1 && this.#visible.has(index);
    if (toggle) {
      if (!this.#visible.delete(index)) this.#visible.add(index);
    } else {
      this.#visible = alone ? new Set(this.#series.keys()) : new Set([index]);
    }
    this.chart.setHighlight(-1);
    this.#apply();
  }

  #apply() {
    [...this.legend.children].forEach((row, i) => row.firstChild.setAttribute("aria-pressed", String(this.#visible.has(i))));
    this.chart.setVisible([...this.#series.keys()].filter((i) => this.#visible.has(i)));
  }
}
