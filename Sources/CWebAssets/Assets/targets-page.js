// The targets page: what is scraped, whether it answers, and why not.

import { get } from "./api.js";
import { debounced, element, loading, notice } from "./dom.js";
import { formatBytes, formatCount, formatDate, formatSeconds } from "./format.js";
import { seriesLabel } from "./series-label.js";
import { settings } from "./settings.js";

const REFRESH_MS = 5000;
// The dropped targets are sent whole and only counted here: asked seldom.
const DROPPED_REFRESH_MS = 60e3;
// A pool of ten thousand targets stays quick; the filter finds the rest.
const ROWS_A_POOL = 200;
const HEALTHS = [["up", "Up"], ["down", "Down"], ["unknown", "Not scraped yet"]];

export function show(main) {
  const address = new URLSearchParams(location.search);
  const filter = { text: address.get("search") ?? "", health: new Set((address.get("health") ?? "").split(",").filter(Boolean)) };
  const closed = new Set(), unbounded = new Set();
  const answers = new Map();
  let showsAnswers = false;
  let data = null, dropped = {}, droppedAt = -Infinity;

  const search = element("input", { type: "search", placeholder: "Filter by address, label or error", "aria-label": "Filter targets", value: filter.text,
    on: { input: debounced(120, () => { filter.text = search.value; changed(); }) } });
  const chips = HEALTHS.map(([health, text]) => element("button", { type: "button", class: `chip ${health}`, "aria-pressed": "false", data: { health },
    on: { click: () => { if (!filter.health.delete(health)) filter.health.add(health); changed(); } } }, element("span", { class: "dot" }), `${text} `, element("span", { class: "count" })));
  const message = element("div", {});
  const list = element("div", { class: "pools" }, loading());
  main.append(element("h1", {}, "Targets"), element("div", { class: "filters" }, search, ...chips), message, list);

  function changed() {
    const parameters = new URLSearchParams();
    if (filter.text) parameters.set("search", filter.text);
    if (filter.health.size) parameters.set("health", [...filter.health].join(","));
    history.replaceState(null, "", parameters.size ? `?${parameters}` : location.pathname);
    draw();
  }

  function draw() {
    if (!data) return;
    const { activeTargets } = data;
    for (const chip of chips) {
      chip.setAttribute("aria-pressed", String(filter.health.has(chip.dataset.health)));
      chip.querySelector(".count").textContent = formatCount(activeTargets.filter((t) => t.health === chip.dataset.health).length);
    }
    const pools = new Map();
    for (const target of activeTargets) {
      if (!pools.has(target.scrapePool)) pools.set(target.scrapePool, []);
      pools.get(target.scrapePool).push(target);
    }
    for (const pool of Object.keys(dropped)) if (dropped[pool] > 0 && !pools.has(pool)) pools.set(pool, []);
    const wanted = filter.text.toLowerCase();
    const fits = (target) => (filter.health.size === 0 || filter.health.has(target.health))
      && (!wanted || [target.scrapeUrl, target.lastError, ...Object.entries(target.labels).map(([k, v]) => `${k}="${v}"`)].some((x) => x.toLowerCase().includes(wanted)));
    const filtering = wanted !== "" || filter.health.size > 0;

    const sections = [];
    for (const name of [...pools.keys()].sort()) {
      const targets = pools.get(name), shown = targets.filter(fits);
      if (filtering && shown.length === 0) continue;
      sections.push(section(name, targets, shown, dropped[name] ?? 0));
    }
    // The page redraws itself: what has the focus must keep it.
    const focused = document.activeElement?.dataset?.key;
    list.replaceChildren(...(sections.length ? sections : [element("p", { class: "empty" },
      filtering ? "No target fits the filter." : "No targets. They are declared under scrape_configs in the configuration file.")]));
    if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  function section(name, targets, shown, droppedHere) {
    const up = targets.filter((t) => t.health === "up").length;
    const state = targets.length === 0 ? "unknown" : up === targets.length ? "up" : targets.some((t) => t.health === "down") ? "down" : "unknown";
    const rows = unbounded.has(name) ? shown : shown.slice(0, ROWS_A_POOL);
    const details = element("details", { class: "card pool", on: { toggle: () => { if (details.open) closed.delete(name); else closed.add(name); } } },
      element("summary", { data: { key: `pool ${name}` } }, element("span", { class: "pool-name" }, name),
        element("span", { class: `pill ${state}` }, `${formatCount(up)} of ${formatCount(targets.length)} up`),
        droppedHere > 0 ? element("span", { class: "muted" }, `${formatCount(droppedHere)} dropped by relabelling`) : null),
      rows.length === 0 ? null : element("table", { class: "targets" },
        element("thead", {}, element("tr", {}, ...["Endpoint", "State", "Labels", "Last scrape", "Duration"].map((text) => element("th", { scope: "col" }, text)))),
        element("tbody", {}, ...rows.flatMap((target) => targetRows(target, showsAnswers ? answers : null, draw)))),
      rows.length < shown.length ? element("button", { type: "button", class: "quiet", on: { click: () => { unbounded.add(name); draw(); } } }, `Show all ${formatCount(shown.length)} targets`) : null);
    details.open = !closed.has(name);
    return details;
  }

  async function refresh() {
    try {
      if (performance.now() - droppedAt > DROPPED_REFRESH_MS) {
        dropped = (await get("targets", { state: "dropped" })).data.droppedTargetCounts ?? {};
        droppedAt = performance.now();
      }
      ({ data } = await get("targets", { state: "active" }));
      message.replaceChildren();
      draw();
    } catch (error) {
      message.replaceChildren(notice("error", data ? "Not refreshed:" : "Targets could not be read:", error.message));
      if (!data) list.replaceChildren();
    }
    setTimeout(whenVisible, REFRESH_MS);
  }

  // A page in the background asks for nothing.
  const whenVisible = () => {
    if (!document.hidden) return refresh();
    document.addEventListener("visibilitychange", whenVisible, { once: true });
  };
  settings.addEventListener("change", draw);
  // The server shows what targets answer only where it also lets anyone delete series.
  get("status/flags").then(({ data: flags }) => { showsAnswers = flags["web.enable-admin-api"] === "true"; draw(); }, () => {});
  refresh();
}

function targetRows(target, answers, redraw) {
  const rows = basicRows(target), key = `${target.scrapePool} ${target.scrapeUrl}`;
  const actions = element("div", { class: "actions" },
    element("a", { href: `relabel?${new URLSearchParams({ pool: target.scrapePool, labels: JSON.stringify(target.discoveredLabels, null, 2) })}`, data: { key: `relabel ${key}` } }, "Relabelling"));
  if (answers) {
    const open = answers.has(key);
    actions.append(element("button", { type: "button", class: "quiet", "aria-expanded": String(open), data: { key: `answer ${key}` },
      on: { click: () => { if (!answers.delete(key)) ask(target, answers, key, redraw); redraw(); } } }, open ? "Hide answer" : "Show answer"));
  }
  rows[0].firstChild.append(actions);
  if (answers?.has(key)) rows.push(element("tr", { class: "answer-row" }, element("td", { colspan: "5" }, ...answers.get(key))));
  return rows;
}

// A page of a hundred megabytes would stop the browser; its start tells enough.
const SHOWN_BYTES = 512 * 1024;

/** Scrapes the target now, for the eyes only. */
async function ask({ scrapePool, scrapeUrl }, answers, key, redraw) {
  answers.set(key, [loading("Asking the target…")]);
  let nodes;
  try {
    const { data } = await get("targets/page", { scrapePool, scrapeUrl });
    const cut = data.body.length > SHOWN_BYTES;
    nodes = [element("p", { class: "hint" }, `${data.contentType || "no content type"} · ${formatBytes(data.sizeBytes)} · ${formatSeconds(data.durationSeconds)}`
      + (data.encoding === "base64" ? " · not text, shown in base64" : "") + (cut ? " · cut" : "")),
    element("pre", { class: "yaml", tabindex: "0" }, cut ? data.body.slice(0, SHOWN_BYTES) : data.body)];
  } catch (error) {
    nodes = [notice("error", "No answer:", error.message)];
  }
  if (!answers.has(key)) return;
  answers.set(key, nodes);
  redraw();
}

function basicRows(target) {
  const last = Date.parse(target.lastScrape), scraped = last > 0;
  const cell = (label, className, ...children) => element("td", { class: className, data: { label } }, ...children);
  const row = element("tr", { class: target.lastError ? "has-error" : "" },
    cell("Endpoint", "endpoint", endpoint(target)),
    cell("State", "", element("span", { class: `pill ${target.health}` }, target.health)),
    cell("Labels", "", seriesLabel(target.labels)),
    cell("Last scrape", "number", element("span", { title: formatDate(target.lastScrape) }, scraped ? `${formatSeconds(Math.max(0, Date.now() - last) / 1000)} ago` : "never")),
    cell("Duration", "number", element("span", { title: `every ${target.scrapeInterval}, at most ${target.scrapeTimeout}` }, scraped ? formatSeconds(target.lastScrapeDuration) : "–")));
  if (!target.lastError) return [row];
  return [row, element("tr", { class: "error-row" }, element("td", { colspan: "5" }, element("span", { class: "error-text" }, target.lastError)))];
}

function endpoint({ scrapeUrl, globalUrl }) {
  // Only what a browser may open becomes a link: a relabelled scheme could be anything.
  const safe = /^https?:\/\//i.test(globalUrl || scrapeUrl);
  return safe ? element("a", { href: globalUrl || scrapeUrl, rel: "noreferrer noopener", data: { key: `url ${scrapeUrl}` } }, scrapeUrl) : element("code", {}, scrapeUrl);
}
