// One panel: the editor, the two tabs, the controls of the graph, and what the server answered.

import { ApiError, post } from "./api.js";
import { element, loading, notice, uniqueId } from "./dom.js";
import { Editor } from "./editor.js";
import { formatCount, formatDuration, formatSeconds, fromInput, parseDuration, toInput } from "./format.js";
import { GraphView } from "./graph-view.js";
import { settings } from "./settings.js";
import { tableView } from "./table-view.js";

const RANGES_MS = [60e3, 5 * 60e3, 15 * 60e3, 30 * 60e3, 3600e3, 2 * 3600e3, 6 * 3600e3, 12 * 3600e3, 86400e3, 2 * 86400e3, 7 * 86400e3,
  14 * 86400e3, 28 * 86400e3, 56 * 86400e3, 182 * 86400e3, 365 * 86400e3];
const REFRESH_S = [5, 15, 30, 60];
// Two to three pixels a point on a usual screen: finer steps cost the server and show nothing more.
const AUTO_POINTS = 400;
const TABS = [["table", "Table"], ["graph", "Graph"]];

export class Panel {
  #request = null;      // AbortController of the running request
  #timer = 0;           // of the automatic refresh
  #shown = null;        // which tab the result on screen belongs to

  constructor(state, { onState, onRemove }) {
    this.state = state;
    this.onState = onState;
    this.graph = new GraphView((start, end) => this.#zoom(start, end));
    this.editor = new Editor("Expression", () => this.execute(), () => this.editor.setError(false));
    this.editor.value = state.expr;

    const bodyId = uniqueId("result");
    this.button = element("button", { type: "button", class: "primary", on: { click: () => this.execute() } }, "Execute");
    this.remove = element("button", { type: "button", class: "quiet icon", "aria-label": "Remove this panel", title: "Remove this panel", on: { click: onRemove } }, "✕");
    this.tabs = TABS.map(([tab, text]) => element("button", {
      type: "button", role: "tab", id: `${bodyId}-${tab}`, "aria-controls": bodyId,
      on: { click: () => this.#setTab(tab), keydown: (e) => this.#tabKey(e) }, data: { tab },
    }, text));
    this.summary = element("span", { class: "summary", role: "status" });
    this.controls = this.#makeControls();
    this.messages = element("div", { class: "messages" });
    this.body = element("div", { class: "result", role: "tabpanel", id: bodyId });
    this.node = element("section", { class: "card panel" },
      element("div", { class: "ask" }, this.editor.node, this.button, this.remove),
      element("div", { class: "bar" }, element("div", { class: "tabs", role: "tablist", "aria-label": "Form of the result" }, ...this.tabs), this.summary),
      this.controls, this.messages, this.body);
    settings.addEventListener("change", () => { this.#showState(); this.graph.redraw(); });
    this.#showState();
  }

  focus() { this.editor.input.focus(); }
  setRemovable(removable) { this.remove.hidden = !removable; }

  stop() {
    clearTimeout(this.#timer);
    this.#request?.abort();
  }

  /** Takes the expression from the editor and runs it. */
  execute() {
    this.state.expr = this.editor.value.trim();
    if (this.state.expr) settings.remember(this.state.expr);
    this.onState(true);
    this.run();
  }

  // ---- Controls

  #makeControls() {
    const button = (text, label, click) => element("button", { type: "button", class: "icon", "aria-label": label, title: label, on: { click } }, text);
    this.rangeInput = element("input", { type: "text", size: "5", "aria-label": "Range", title: "Range, for example 1h30m", on: { change: () => this.#setRange(parseDuration(this.rangeInput.value)) } });
    this.endInput = element("input", { type: "datetime-local", step: "1", "aria-label": "End time", on: { change: () => this.#set({ endMs: fromInput(this.endInput.value) }) } });
    this.nowButton = element("button", { type: "button", class: "quiet", on: { click: () => this.#set({ endMs: null }) } }, "Now");
    this.stepInput = element("input", { type: "text", size: "6", placeholder: "auto", "aria-label": "Step", title: "Step between points, for example 15s; empty chooses by the range", on: { change: () => this.#set({ stepMs: parseDuration(this.stepInput.value) || null }) } });
    this.stackedInput = element("input", { type: "checkbox", on: { change: () => this.#set({ stacked: this.stackedInput.checked }) } });
    this.refreshInput = element("select", { "aria-label": "Refresh", on: { change: () => this.run() } },
      element("option", { value: "0" }, "off"), ...REFRESH_S.map((s) => element("option", { value: s }, `${s} s`)));
    const field = (className, ...children) => element("div", { class: `field ${className}` }, ...children);
    this.endLabel = element("span", { class: "legend" });
    return element("div", { class: "controls" },
      field("graph-only", element("span", { class: "legend" }, "Range"),
        button("−", "Shorter range", () => this.#stepRange(-1)), this.rangeInput, button("+", "Longer range", () => this.#stepRange(1))),
      field("", this.endLabel, button("‹", "Earlier", () => this.#shift(-1)), this.endInput, button("›", "Later", () => this.#shift(1)), this.nowButton),
      field("graph-only", element("span", { class: "legend" }, "Step"), this.stepInput),
      field("", element("span", { class: "legend" }, "Refresh"), this.refreshInput),
      field("graph-only", element("label", { class: "check" }, this.stackedInput, "Stacked")));
  }

  #set(change) {
    Object.assign(this.state, change);
    this.#showState();
    this.onState(true);
    this.run();
  }

  #setRange(ms) {
    this.#set(ms > 0 ? { rangeMs: ms } : {});
  }

  #stepRange(by) {
    const next = by > 0 ? RANGES_MS.find((r) => r > this.state.rangeMs) : RANGES_MS.findLast((r) => r < this.state.rangeMs);
    if (next) this.#setRange(next);
  }

  #shift(direction) {
    const { endMs, rangeMs } = this.state;
    this.#set({ endMs: Math.round((endMs ?? Date.now()) + (direction * rangeMs) / 2) });
  }

  #zoom(startMs, endMs) {
    const rangeMs = Math.max(1000, Math.round((endMs - startMs) / 1000) * 1000);
    this.#set({ rangeMs, endMs: Math.ceil(endMs / 1000) * 1000, stepMs: null });
  }

  #setTab(tab) {
    if (this.state.tab === tab) return;
    this.#set({ tab });
  }

  #tabKey(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = this.tabs.find((tab) => tab !== event.target);
    other.focus();
    this.#setTab(other.dataset.tab);
  }

  #showState() {
    const { tab, rangeMs, endMs, stepMs, stacked } = this.state;
    for (const button of this.tabs) {
      const selected = button.dataset.tab === tab;
      button.setAttribute("aria-selected", String(selected));
      button.tabIndex = selected ? 0 : -1;
      if (selected) this.body.setAttribute("aria-labelledby", button.id);
    }
    this.node.dataset.tab = tab;
    this.endLabel.textContent = tab === "graph" ? "End" : "At";
    this.rangeInput.value = formatDuration(rangeMs);
    this.endInput.value = endMs === null ? "" : toInput(endMs);
    this.nowButton.setAttribute("aria-pressed", String(endMs === null));
    this.stepInput.value = stepMs === null ? "" : formatDuration(stepMs);
    this.stackedInput.checked = stacked;
    this.graph.setStacked(stacked);
  }

  // ---- Asking

  async run() {
    this.stop();
    if (this.state.expr === "") {
      this.#shown = this.#request = null;
      this.#setBusy(false);
      this.messages.replaceChildren();
      this.summary.textContent = "";
      this.body.replaceChildren(welcome((expr) => { this.editor.value = expr; this.execute(); }));
      return;
    }
    const request = this.#request = new AbortController();
    const { tab } = this.state;
    this.#setBusy(true);
    if (this.#shown !== tab) this.body.replaceChildren(loading());
    const started = performance.now();
    try {
      const answer = tab === "graph" ? await this.#askRange(request.signal) : await this.#askInstant(request.signal);
      if (request !== this.#request) return;
      this.#showAnswer(tab, answer, performance.now() - started);
    } catch (error) {
      if (error.name === "AbortError" || request !== this.#request) return;
      this.#showError(error);
    }
    this.#setBusy(false);
    const every = Number(this.refreshInput.value) * 1000;
    if (every > 0 && this.state.endMs === null) this.#timer = setTimeout(() => this.run(), every);
  }

  #setBusy(busy) {
    this.node.setAttribute("aria-busy", String(busy));
    this.button.textContent = busy ? "Running…" : "Execute";
  }

  #askInstant(signal) {
    const parameters = { query: this.state.expr };
    if (this.state.endMs !== null) parameters.time = this.state.endMs / 1000;
    return post("query", parameters, signal);
  }

  async #askRange(signal) {
    const { expr, rangeMs, stepMs: given } = this.state;
    const stepMs = given ?? Math.max(1000, Math.floor(rangeMs / AUTO_POINTS / 1000) * 1000);
    // On multiples of the step, so that a refresh moves the graph and does not change its shape.
    const endMs = Math.floor((this.state.endMs ?? Date.now()) / stepMs) * stepMs;
    const startMs = endMs - Math.floor(rangeMs / stepMs) * stepMs;
    const answer = await post("query_range", { query: expr, start: startMs / 1000, end: endMs / 1000, step: stepMs / 1000 }, signal);
    return { ...answer, startMs, stepMs, count: Math.round((endMs - startMs) / stepMs) + 1 };
  }

  // ---- Showing

  #showAnswer(tab, answer, ms) {
    this.editor.setError(false);
    this.messages.replaceChildren(
      ...answer.warnings.map((text) => notice("warning", "Warning", text)),
      ...answer.infos.map((text) => notice("info", "Note", text)));
    const { resultType, result } = answer.data;
    const single = resultType === "scalar" || resultType === "string";
    const series = single ? 1 : result.length;
    const step = tab === "graph" ? ` · step ${formatDuration(answer.stepMs)}` : "";
    this.summary.textContent = `${formatCount(series)} ${single ? resultType : "series"} · ${formatSeconds(ms / 1000)}${step}`;
    this.#shown = tab;
    if (series === 0) {
      this.#shown = null;
      this.body.replaceChildren(element("p", { class: "empty" }, tab === "graph"
        ? "No data in this range. A wider range or an earlier end may have some." : "No data at this time."));
    } else if (tab === "graph") {
      this.graph.setData(answer);
      if (this.graph.node.parentNode !== this.body) this.body.replaceChildren(this.graph.node);
    } else {
      this.body.replaceChildren(tableView(answer.data));
    }
  }

  #showError(error) {
    this.#shown = null;
    const titles = { bad_data: "The expression or its parameters are not valid:", execution: "The query failed:", timeout: "The query took too long:",
      canceled: "The query was cancelled:", network: "No connection:" };
    const bad = error instanceof ApiError && error.type === "bad_data";
    this.editor.setError(bad);
    this.messages.replaceChildren(notice("error", titles[error.type] ?? "Error:", error.message));
    this.summary.textContent = "";
    this.body.replaceChildren();
  }
}

const EXAMPLES = [["up", "which targets answer"], ["rate(prometheus_http_requests_total[1m])", "requests a second, by handler"],
  ["sum by (job) (scrape_samples_scraped)", "samples each job sends"], ["topk(10, count by (__name__) ({__name__=~\".+\"}))", "the metrics with most series"]];

function welcome(run) {
  return element("div", { class: "welcome" },
    element("p", {}, "Type an expression and press Enter. Some to begin with:"),
    element("ul", {}, ...EXAMPLES.map(([expr, what]) => element("li", {},
      element("button", { type: "button", class: "example", on: { click: () => run(expr) } }, expr), element("span", { class: "muted" }, what)))),
    element("p", { class: "muted keys" }, element("kbd", {}, "Tab"), " completes, ", element("kbd", {}, "↓"), " chooses, ",
      element("kbd", {}, "Shift"), "+", element("kbd", {}, "Enter"), " starts a new line."));
}
