// The answer to an instant query as a table that can be sorted.

import { element } from "./dom.js";
import { formatCount, formatTime, seriesName } from "./format.js";
import { seriesLabel } from "./series-label.js";

const FIRST_ROWS = 500;
// Of a range vector: a series may have thousands of samples; the graph is the place for them.
const SAMPLES_SHOWN = 50;

export function tableView({ resultType, result }) {
  if (resultType === "scalar" || resultType === "string") {
    return table([element("tr", {}, element("td", { class: "muted" }, resultType), element("td", { class: "value" }, result[1]))]);
  }
  const rows = result.map((series) => ({
    node: null, name: seriesName(series.metric), number: series.value ? Number(series.value[1].replace("Inf", "Infinity")) : NaN,
    make: () => element("tr", {}, element("td", {}, seriesLabel(series.metric)), element("td", { class: "value" }, ...cell(series))),
  }));
  let all = false, order = { by: "", down: false };
  const box = element("div", {});
  const sort = (by) => {
    order = { by, down: order.by === by ? !order.down : by === "value" };
    const sign = order.down ? -1 : 1;
    rows.sort((a, b) => sign * (by === "value" ? compare(a.number, b.number, order.down) : a.name < b.name ? -1 : 1));
    show();
  };
  const show = () => {
    const shown = all ? rows : rows.slice(0, FIRST_ROWS);
    const more = rows.length > shown.length
      ? element("button", { type: "button", class: "quiet", on: { click: () => { all = true; show(); } } }, `Show all ${formatCount(rows.length)} rows`) : "";
    const header = (by, text) => element("th", { scope: "col", class: by, "aria-sort": order.by !== by ? "none" : order.down ? "descending" : "ascending" },
      element("button", { type: "button", on: { click: () => sort(by) } }, text));
    box.replaceChildren(table(shown.map((row) => row.node ??= row.make()), element("tr", {}, header("name", "Series"), header("value", "Value"))), more);
  };
  show();
  return box;
}

const table = (rows, head) => element("div", { class: "scroll" }, element("table", { class: "values" }, head ? element("thead", {}, head) : null, element("tbody", {}, ...rows)));

/** Values without a number go last in either direction. */
function compare(a, b, down) {
  if (Number.isNaN(a) || Number.isNaN(b)) return (Number.isNaN(a) - Number.isNaN(b)) * (down ? -1 : 1);
  return a - b || 0;
}

function cell({ value, histogram, values, histograms }) {
  if (value) return [value[1]];
  if (histogram) return [describe(histogram[1])];
  const samples = [...(values ?? []), ...(histograms ?? []).map(([time, h]) => [time, describe(h)])];
  const lines = samples.slice(0, SAMPLES_SHOWN).map(([seconds, text]) => element("div", {}, text, element("span", { class: "muted" }, ` @ ${formatTime(seconds * 1000)}`)));
  if (samples.length > lines.length) lines.push(element("div", { class: "muted" }, `and ${formatCount(samples.length - lines.length)} more`));
  return lines;
}

function describe({ count, sum, buckets = [] }) {
  const brackets = [["(", "]"], ["[", ")"], ["(", ")"], ["[", "]"]];
  return element("div", { class: "histogram" }, `count ${count}, sum ${sum}`, ...buckets.map(([rule, low, high, n]) => {
    const [left, right] = brackets[rule] ?? brackets[0];
    return element("div", {}, element("span", { class: "muted" }, `${left}${low}, ${high}${right} `), n);
  }));
}
