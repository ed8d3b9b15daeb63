// The status page: what runs, what the database holds, and how it was told to run.

import { get } from "./api.js";
import { element, loading, notice } from "./dom.js";
import { formatCount, formatDate, formatTime } from "./format.js";

/** Resolves when all sections have their content, so that the page can be scrolled to one. */
export async function show(main) {
  const sections = [
    section("runtime", "Runtime", "status/runtimeinfo", runtime),
    section("build", "Build", "status/buildinfo", build),
    section("tsdb", "Database head", "status/tsdb", tsdb),
    section("flags", "Flags", "status/flags", flags),
    section("configuration", "Configuration", "status/config", configuration),
  ];
  const [first, second, ...rest] = sections.map(({ node }) => node);
  main.append(element("h1", {}, "Status"), element("div", { class: "columns" }, first, second), ...rest);
  await Promise.all(sections.map(({ loaded }) => loaded));
}

/** A card that loads on its own: one failure leaves the others. */
function section(id, title, path, view) {
  const body = element("div", {}, loading());
  const loaded = get(path).then(({ data }) => body.replaceChildren(...[].concat(view(data))),
    (error) => body.replaceChildren(notice("error", "Not available:", error.message)));
  return { loaded, node: element("section", { class: "card", id, "aria-labelledby": `${id}-title` }, element("h2", { id: `${id}-title` }, title), body) };
}

const facts = (pairs) => element("dl", { class: "facts" }, ...pairs.map(([key, value]) =>
  element("div", {}, element("dt", {}, key), element("dd", {}, value === "" || value === null || value === undefined ? "–" : String(value)))));

/** "reloadConfigSuccess" → "Reload config success". */
function words(key) {
  const text = key.replace(/([a-z])([A-Z])/g, "$1 $2");
  return text[0].toUpperCase() + text.slice(1).replace(/[A-Z](?=[a-z])/g, (c) => c.toLowerCase());
}

const TIMES = new Set(["startTime", "lastConfigTime", "serverTime"]);

// The API has Prometheus's fields, also those that mean something else here, or nothing: null hides one.
const RUNTIME = { CWD: "Working directory", hostname: "Host name", reloadConfigSuccess: "Configuration loaded", lastConfigTime: "Last configuration load",
  goroutineCount: "Threads", GOMAXPROCS: "Cores", GOMEMLIMIT: null, GOGC: null, GODEBUG: null, corruptionCount: null, storageRetention: "Retention" };
const BUILD = { version: "Speaks as Prometheus", revision: "Build", branch: null, goVersion: "Compiler" };

const runtime = (data) => facts(named(data, RUNTIME));
/** What a build does not know of itself is left out. */
const build = (data) => facts(named(data, BUILD).filter(([, value]) => value !== ""));

const named = (data, names) => Object.entries(data).filter(([key]) => names[key] !== null)
  .map(([key, value]) => [names[key] ?? words(key), shown(key, value)]);

function shown(key, value) {
  if (TIMES.has(key)) return formatDate(value);
  return typeof value === "boolean" ? (value ? "yes" : "no") : value;
}

function tsdb(data) {
  const head = data.headStats ?? {};
  // An empty head has the largest and smallest integers as its bounds.
  const time = (ms) => (Math.abs(ms) < 8.64e15 && head.numSeries > 0 ? formatTime(ms) : "–");
  const top = (title, name, value, rows) => element("div", { class: "ranking" }, element("h3", {}, title),
    element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, name), element("th", { scope: "col", class: "value" }, value))),
      element("tbody", {}, ...(rows ?? []).map((row) => element("tr", {}, element("td", {}, row.name), element("td", { class: "value" }, formatCount(row.value)))))));
  return [
    facts([["Series", formatCount(head.numSeries ?? 0)], ["Chunks", formatCount(head.chunkCount ?? 0)], ["Label pairs", formatCount(head.numLabelPairs ?? 0)],
      ["Oldest sample", time(head.minTime)], ["Newest sample", time(head.maxTime)]]),
    element("div", { class: "columns" },
      top("Metrics with most series", "Metric", "Series", data.seriesCountByMetricName),
      top("Label pairs with most series", "Pair", "Series", data.seriesCountByLabelValuePair),
      top("Labels with most values", "Label", "Values", data.labelValueCountByLabelName),
      top("Labels with most memory", "Label", "Bytes", data.memoryInBytesByLabelName)),
  ];
}

function flags(data) {
  const rows = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) =>
    ({ text: `--${name} ${value}`.toLowerCase(), node: element("tr", {}, element("td", {}, element("code", {}, `--${name}`)), element("td", {}, element("code", {}, value))) }));
  const body = element("tbody", {}, ...rows.map((row) => row.node));
  const search = element("input", { type: "search", placeholder: "Filter flags", "aria-label": "Filter flags",
    on: { input: () => body.replaceChildren(...rows.filter((row) => row.text.includes(search.value.toLowerCase())).map((row) => row.node)) } });
  return [element("div", { class: "filters" }, search), element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Flag"), element("th", { scope: "col" }, "Value"))), body))];
}

function configuration({ yaml }) {
  const copy = element("button", { type: "button", class: "quiet", on: { click: async () => {
    try {
      await navigator.clipboard.writeText(yaml);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "The browser does not allow it";  // pages without TLS, mostly
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  } } }, "Copy");
  return [element("div", { class: "filters" }, copy), element("pre", { class: "yaml", tabindex: "0" }, yaml)];
}
