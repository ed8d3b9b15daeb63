// What the panels show, in the address: a link brings a colleague to the same graph. The parameters are those of
// Prometheus's interface (`g0.expr`, `g0.tab`, `g0.range_input`, …), and older forms of them are read too.

import { formatDuration, fromAddress, parseDuration, toAddress } from "./format.js";

export const DEFAULT_RANGE_MS = 3600e3;

/** A panel without an expression. `endMs` null is now; `stepMs` null is chosen by the range. */
export const emptyPanel = () => ({ expr: "", tab: "graph", rangeMs: DEFAULT_RANGE_MS, endMs: null, stepMs: null, stacked: false });

export function readPanels(search) {
  const panels = [];
  for (const [key, value] of new URLSearchParams(search)) {
    const match = /^g(\d{1,2})\.(\w+)$/.exec(key);
    if (!match) continue;
    const panel = panels[Number(match[1])] ??= { ...emptyPanel(), tab: "table" };
    switch (match[2]) {
      case "expr": panel.expr = value; break;
      case "tab": panel.tab = value === "graph" || value === "0" ? "graph" : "table"; break;
      case "range_input": panel.rangeMs = parseDuration(value) || DEFAULT_RANGE_MS; break;
      case "end_input": case "moment_input": panel.endMs ??= fromAddress(value); break;
      case "res_step": case "step_input": panel.stepMs = parseDuration(value) || null; break;
      case "display_mode": panel.stacked = value === "stacked"; break;
      case "stacked": panel.stacked = value === "1"; break;
    }
  }
  const found = panels.filter(Boolean);
  return found.length > 0 ? found : [emptyPanel()];
}

export function writePanels(panels) {
  const parameters = new URLSearchParams();
  panels.forEach((panel, i) => {
    const set = (key, value) => parameters.set(`g${i}.${key}`, value);
    set("expr", panel.expr);
    set("tab", panel.tab);
    set("range_input", formatDuration(panel.rangeMs));
    if (panel.endMs !== null) {
      set("end_input", toAddress(panel.endMs));
      set("moment_input", toAddress(panel.endMs));
    }
    set("res_type", panel.stepMs === null ? "auto" : "fixed");
    if (panel.stepMs !== null) set("res_step", formatDuration(panel.stepMs));
    set("display_mode", panel.stacked ? "stacked" : "lines");
  });
  return `?${parameters}`;
}
