// The relabelling page: what each rule of a job does to the labels of a target that discovery found, or to any labels.

import { get } from "./api.js";
import { debounced, element, loading, notice } from "./dom.js";
import { formatCount } from "./format.js";
import { seriesLabel } from "./series-label.js";

// The filter finds the rest.
const ROWS = 200;

export async function show(main) {
  const address = new URLSearchParams(location.search);
  const state = { pool: address.get("pool") ?? "", labels: address.get("labels") ?? "" };
  const pools = element("select", { "aria-label": "Job", on: { change: () => { state.pool = pools.value; state.labels = ""; changed(); list(); } } });
  const search = element("input", { type: "search", placeholder: "Filter by label", "aria-label": "Filter targets", on: { input: debounced(120, draw) } });
  const labels = element("textarea", { class: "labels", rows: "6", spellcheck: "false", "aria-label": "Labels before relabelling, as a JSON object",
    on: { input: debounced(250, () => { state.labels = labels.value; changed(); }) } });
  const found = element("div", {}, loading()), steps = element("div", { class: "steps" });
  main.append(element("h1", {}, "Relabelling"),
    element("div", { class: "filters" }, pools, search),
    element("section", { class: "card" }, element("h2", {}, "Discovered targets"), found),
    element("section", { class: "card" }, element("h2", {}, "Labels"), labels, steps));
  let targets = [], asked = 0;

  try {
    const { data } = await get("scrape_pools");
    pools.replaceChildren(...data.scrapePools.map((name) => element("option", { value: name }, name)));
    if (data.scrapePools.length === 0) return found.replaceChildren(element("p", { class: "empty" }, "No jobs. They are declared under scrape_configs in the configuration file."));
    if (!data.scrapePools.includes(state.pool)) state.pool = data.scrapePools[0];
    pools.value = state.pool;
  } catch (error) {
    return found.replaceChildren(notice("error", "Jobs could not be read:", error.message));
  }
  labels.value = state.labels;
  await list();
  if (state.labels) await explain();

  function changed() {
    history.replaceState(null, "", `?${new URLSearchParams(state.labels ? state : { pool: state.pool })}`);
    explain();
  }

  async function list() {
    found.replaceChildren(loading());
    try {
      const { data } = await get("targets", { scrapePool: state.pool });
      targets = [...data.activeTargets.map((target) => ({ before: target.discoveredLabels, after: target.labels })),
        ...data.droppedTargets.map((target) => ({ before: target.discoveredLabels, after: null }))];
      draw();
    } catch (error) {
      found.replaceChildren(notice("error", "Targets could not be read:", error.message));
    }
  }

  function draw() {
    const wanted = search.value.toLowerCase();
    const fitting = targets.filter(({ before }) => !wanted || Object.entries(before).some(([name, value]) => `${name}="${value}"`.toLowerCase().includes(wanted)));
    if (fitting.length === 0) return found.replaceChildren(element("p", { class: "empty" }, targets.length ? "No target fits the filter." : "Discovery has found no targets for this job."));
    const row = ({ before, after }) => element("tr", {},
      element("td", {}, element("button", { type: "button", class: "quiet", on: { click: () => choose(before) } }, before.__address__ ?? "no address")),
      element("td", {}, seriesLabel(before)),
      element("td", {}, after ? seriesLabel(after) : element("span", { class: "pill down" }, "dropped")));
    found.replaceChildren(element("div", { class: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ...["Show steps", "Discovered labels", "Target labels"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...fitting.slice(0, ROWS).map(row)))),
    ...(fitting.length > ROWS ? [element("p", { class: "hint" }, `${formatCount(fitting.length - ROWS)} more: narrow the filter.`)] : []));
  }

  function choose(before) {
    state.labels = labels.value = JSON.stringify(before, null, 2);
    changed();
    labels.scrollIntoView({ block: "center" });
  }

  async function explain() {
    const mine = ++asked;
    if (!state.labels.trim()) return steps.replaceChildren(element("p", { class: "hint" }, "Choose a target above, or write labels as a JSON object of names and values."));
    let nodes;
    try {
      const { data } = await get("targets/relabel_steps", { scrapePool: state.pool, labels: state.labels });
      nodes = stepNodes(JSON.parse(state.labels), data.steps);
    } catch (error) {
      nodes = [notice("error", "No steps:", error.message)];
    }
    if (mine === asked) steps.replaceChildren(...nodes);
  }
}

function stepNodes(before, list) {
  if (list.length === 0) return [element("p", { class: "hint" }, "The job has no relabel_configs: labels stay as they are.")];
  let labels = before;
  return list.map((step, index) => {
    const node = element("div", { class: "step" }, element("h3", {}, `${index + 1}. ${step.rule.action}`), element("code", {}, ruleText(step.rule)),
      step.keep ? difference(labels, step.output) : element("p", {}, element("span", { class: "pill down" }, "dropped here")));
    labels = step.output;
    return node;
  });
}

/** The fields that say something, as they stand in the configuration. */
function ruleText(rule) {
  const fields = [["source_labels", rule.sourceLabels && `[${rule.sourceLabels.join(", ")}]`], ["separator", rule.separator !== ";" && JSON.stringify(rule.separator)],
    ["regex", JSON.stringify(rule.regex)], ["modulus", rule.modulus], ["target_label", rule.targetLabel], ["replacement", JSON.stringify(rule.replacement)]];
  return fields.filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join("  ");
}

function difference(before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const changes = names.filter((name) => before[name] !== after[name]);
  if (changes.length === 0) return element("p", { class: "muted" }, "changes nothing");
  const value = (text) => (text === undefined ? element("span", { class: "muted" }, "none") : element("code", {}, text));
  return element("table", { class: "changes" }, element("tbody", {}, ...changes.map((name) =>
    element("tr", {}, element("td", {}, element("code", {}, name)), element("td", {}, value(before[name])), element("td", {}, "→"), element("td", {}, value(after[name]))))));
}
