// A series as the interface shows it: the name, then the labels, in their colours.

import { element } from "./dom.js";
import { seriesName, seriesParts } from "./format.js";

export function seriesLabel(metric) {
  const [name, labels] = seriesParts(metric);
  const parts = [name ? element("span", { class: "t-metric" }, name) : null];
  if (labels.length > 0 || !name) {
    parts.push("{");
    labels.forEach(([key, value], i) => {
      if (i > 0) parts.push(", ");
      parts.push(element("span", { class: "t-label" }, key));
      if (value !== null) parts.push("=", element("span", { class: "t-string" }, value));
    });
    parts.push("}");
  }
  return element("span", { class: "series", title: seriesName(metric) }, ...parts);
}
