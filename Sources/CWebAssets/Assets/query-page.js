// The query page: one or more panels, each an expression with its table and graph.

import { element } from "./dom.js";
import { Panel } from "./query-panel.js";
import { emptyPanel, readPanels, writePanels } from "./url-state.js";

// Each panel asks for itself and redraws itself; a page has room for a few.
const PANEL_LIMIT = 20;

export function show(main) {
  const panels = [];
  const list = element("div", { class: "panels" });
  const add = element("button", { type: "button", class: "quiet", on: { click: () => insert(emptyPanel()).focus() } }, "+ Add panel");

  const save = (push) => {
    const address = writePanels(panels.map((panel) => panel.state));
    if (address === location.search) return;
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  };

  function insert(state) {
    const panel = new Panel(state, {
      onState: save,
      onRemove: () => {
        panels.splice(panels.indexOf(panel), 1);
        panel.stop();
        panel.node.remove();
        update();
        save(true);
      },
    });
    panels.push(panel);
    list.append(panel.node);
    update();
    return panel;
  }

  function update() {
    add.hidden = panels.length >= PANEL_LIMIT;
    for (const panel of panels) panel.setRemovable(panels.length > 1);
  }

  function load() {
    for (const panel of panels.splice(0)) panel.stop();
    list.replaceChildren();
    for (const state of readPanels(location.search).slice(0, PANEL_LIMIT)) insert(state).run();
  }

  main.append(element("h1", { class: "visually-hidden" }, "Query"), list, add);
  addEventListener("popstate", load);
  load();
  if (panels[0].state.expr === "") panels[0].focus();
}
