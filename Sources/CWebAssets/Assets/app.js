// Chooses the page by the last part of the address. Each page is a module with one function that fills `main`.

import { get } from "./api.js";
import { element, notice } from "./dom.js";
import { settings } from "./settings.js";

const pages = {
  query: { title: "Query", load: () => import("./query-page.js") },
  targets: { title: "Targets", load: () => import("./targets-page.js") },
  relabel: { title: "Relabelling", load: () => import("./relabel-page.js") },
  status: { title: "Status", load: () => import("./status-page.js") },
};

// Addresses of Prometheus's interface, so that its bookmarks and links lead somewhere.
const aliases = { flags: "status", config: "status", "tsdb-status": "status", "service-discovery": "relabel" };
const anchors = { flags: "flags", config: "configuration", "tsdb-status": "tsdb" };

const last = location.pathname.split("/").pop();
const wanted = aliases[last] ?? last;
const name = Object.hasOwn(pages, wanted) ? wanted : "query";
document.title = `${pages[name].title} · Apus`;
for (const link of document.querySelectorAll("#nav a")) {
  if (link.dataset.page === name) link.setAttribute("aria-current", "page");
}

const zone = document.getElementById("zone");
const showZone = () => { zone.textContent = settings.utc ? "UTC" : "Local"; };
zone.addEventListener("click", () => settings.setUTC(!settings.utc));
settings.addEventListener("change", showZone);
showZone();

const main = document.getElementById("page");
// What the one who runs the server should know.
get("notifications").then(({ data }) => {
  for (const { text, date } of data) main.prepend(notice("warning", text, `Since ${new Date(date).toLocaleString()}. The configuration before is in force.`));
}, () => {});
try {
  const page = await pages[name].load();
  await page.show(main);
  document.getElementById(anchors[last])?.scrollIntoView();
} catch (error) {
  main.append(element("p", { class: "notice error", role: "alert" }, `The page could not be loaded: ${error.message}`));
}
