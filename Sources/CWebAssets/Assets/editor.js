// The input for an expression: a text area over a coloured copy of its text, with completion and history.

import { element, uniqueId } from "./dom.js";
import { labelNames, labelValues, metadata, metricNames } from "./catalogue.js";
import { contextAt, pieces, words } from "./promql.js";
import { settings } from "./settings.js";

const MENU_LIMIT = 60;

export class Editor {
  #options = [];
  #active = -1;
  #context = null;
  #turn = 0;      // completion answers that come late are dropped

  /** `onRun()` is called for Enter, `onChange()` after each edit. */
  constructor(label, onRun, onChange) {
    this.onRun = onRun;
    this.onChange = onChange;
    const menuId = uniqueId("menu");
    this.copy = element("pre", { class: "copy", "aria-hidden": "true" });
    this.input = element("textarea", {
      rows: "1", spellcheck: "false", autocapitalize: "off", autocomplete: "off", placeholder: "Expression, for example rate(shop_http_requests_total[1m])",
      "aria-label": label, role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": menuId,
      on: {
        input: () => { this.#paint(); this.#complete(); this.onChange(); },
        keydown: (e) => this.#key(e),
        focus: () => { metricNames(); if (this.value === "") this.#complete(); },
        click: () => { if (this.value === "") this.#complete(); },
        blur: () => this.#close(),
        scroll: () => { this.copy.scrollTop = this.input.scrollTop; },
      },
    });
    this.menu = element("ul", { class: "menu", role: "listbox", id: menuId, "aria-label": "Completions", hidden: true });
    this.help = element("div", { class: "menu-help", hidden: true });
    this.node = element("div", { class: "editor" }, this.copy, this.input, element("div", { class: "menu-box" }, this.menu, this.help));
  }

  get value() { return this.input.value; }
  set value(text) {
    this.input.value = text;
    this.#paint();
  }

  setError(invalid) {
    if (invalid) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  #paint() {
    const spans = pieces(this.value).map(([text, kind]) => (kind ? element("span", { class: `t-${kind}` }, text) : text));
    // The copy gives the field its height; a final newline would count for nothing without a character after it.
    this.copy.replaceChildren(...spans, "\u200b");
  }

  // ---- Completion

  async #complete() {
    const turn = ++this.#turn;
    const context = this.value === "" ? { kind: "history", from: 0, text: "" } : contextAt(this.value, this.input.selectionStart);
    if (!context || (context.kind === "word" && context.text === "")) return this.#close();
    const found = await candidates(context);
    const about = context.kind === "word" ? await metadata() : null;
    if (turn !== this.#turn || document.activeElement !== this.input) return;
    const options = rank(found, context.text);
    if (options.length === 0 || (options.length === 1 && options[0].text === context.text)) return this.#close();
    this.#context = context;
    this.#options = options;
    for (const option of options) if (option.kind === "metric") Object.assign(option, { about: about?.(option.text) });
    this.#active = -1;
    this.menu.replaceChildren(...options.map((option, i) => element("li", {
      role: "option", id: `${this.menu.id}-${i}`, "aria-selected": "false",
      // Before the text area loses the focus, which would close the menu.
      on: { mousedown: (e) => { e.preventDefault(); this.#accept(i); } },
    }, ...marked(option.text, context.text), element("span", { class: "kind" }, option.about?.type || option.kind))));
    this.menu.hidden = false;
    this.menu.scrollTop = 0;
    this.help.hidden = true;
    this.input.setAttribute("aria-expanded", "true");
    this.input.removeAttribute("aria-activedescendant");
  }

  #close() {
    this.#turn++;
    this.#options = [];
    this.#active = -1;
    this.menu.hidden = this.help.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #select(index) {
    this.menu.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = (index + this.#options.length) % this.#options.length;
    const row = this.menu.children[this.#active];
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", row.id);
    const help = this.#options[this.#active].about?.help ?? "";
    this.help.textContent = help;
    this.help.hidden = help === "";
  }

  #accept(index) {
    const option = this.#options[index], { from, text, kind } = this.#context;
    let insert = option.text;
    if (kind === "value") insert = insert.replace(/\\/g, "\\\\").replace(/"/g, '\\"');
    const rest = this.value.slice(from + text.length);
    const call = option.kind === "function" && !rest.startsWith("(");
    this.input.setRangeText(call ? `${insert}()` : insert, from, from + text.length, "end");
    if (call) this.input.selectionStart = this.input.selectionEnd = from + insert.length + 1;
    this.#close();
    this.#paint();
    this.onChange();
  }

  #key(event) {
    const open = this.#options.length > 0;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (open && this.#active >= 0 && !event.ctrlKey && !event.metaKey) return this.#accept(this.#active);
      this.#close();
      this.onRun();
    } else if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.#select(event.key === "ArrowDown" ? this.#active + 1 : Math.max(this.#active, 0) - 1);
    } else if (open && event.key === "Tab" && !event.shiftKey && this.#context.kind !== "history") {
      event.preventDefault();
      this.#accept(Math.max(this.#active, 0));
    } else if (open && event.key === "Escape") {
      this.#close();
    } else if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      this.#complete();
    }
  }
}

async function candidates({ kind, metric, label }) {
  const as = (of) => (text) => ({ text, kind: of });
  if (kind === "history") return settings.history.map(as("recent"));
  if (kind === "label") return (await labelNames(metric)).filter((name) => name !== "__name__").map(as("label"));
  if (kind === "value") return (await labelValues(label, metric)).map(as("value"));
  return [...words, ...(await metricNames()).map(as("metric"))];
}

/** Those that contain what was typed, best first: beginning with it, then a part of the name beginning with it. */
function rank(all, typed) {
  if (typed === "") return all.slice(0, MENU_LIMIT);
  const wanted = typed.toLowerCase(), found = [];
  for (const option of all) {
    const text = option.text.toLowerCase(), at = text.indexOf(wanted);
    if (at < 0) continue;
    const score = at === 0 ? 0 : /[_:]/.test(text[at - 1]) ? 1 : 2;
    found.push({ ...option, score });
  }
  found.sort((a, b) => a.score - b.score || a.text.length - b.text.length || (a.text < b.text ? -1 : 1));
  return found.slice(0, MENU_LIMIT);
}

/** The text with what was typed marked in it. */
function marked(text, typed) {
  const at = typed ? text.toLowerCase().indexOf(typed.toLowerCase()) : -1;
  if (at < 0) return [element("span", { class: "text" }, text)];
  return [element("span", { class: "text" }, text.slice(0, at), element("mark", {}, text.slice(at, at + typed.length)), text.slice(at + typed.length))];
}
