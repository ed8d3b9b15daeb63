// Building the page. Text always goes in as text, so nothing a target sends can become markup.

/**
 * Makes an element. `properties`: `class`, `on` (event → listener), `data` (data attributes), booleans and texts as
 * attributes; undefined, null and false leave the attribute out. Children are nodes or texts; null is skipped.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A message box; errors are announced at once, others when the reader pauses. */
export function notice(kind, title, text) {
  return element("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status" },
    element("strong", {}, title), text ? " " : null, text ? element("span", { class: "text" }, text) : null);
}

export const loading = (text = "Loading…") => element("p", { class: "loading", role: "status" }, text);

/** Calls `action` when nothing has called for `ms` milliseconds. */
export function debounced(ms, action) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), ms);
  };
}

let lastId = 0;
/** An id for `for`, `aria-controls` and the like. */
export const uniqueId = (prefix) => `${prefix}-${++lastId}`;
