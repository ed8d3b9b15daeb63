// What this browser remembers: the time zone to show and the expressions that were run.
// Storage may be forbidden or full; then the page works and forgets.

const read = (key, fallback) => {
  try { return JSON.parse(localStorage.getItem(key)) ?? fallback; } catch { return fallback; }
};
const write = (key, value) => {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* it is only convenience */ }
};

const HISTORY_LIMIT = 100;

class Settings extends EventTarget {
  utc = read("apus.utc", false) === true;
  history = [].concat(read("apus.history", [])).filter((x) => typeof x === "string").slice(0, HISTORY_LIMIT);

  setUTC(utc) {
    this.utc = utc;
    write("apus.utc", utc);
    this.dispatchEvent(new Event("change"));
  }

  /** Puts an expression first in the history. */
  remember(expression) {
    this.history = [expression, ...this.history.filter((x) => x !== expression)].slice(0, HISTORY_LIMIT);
    write("apus.history", this.history);
  }
}

export const settings = new Settings();
