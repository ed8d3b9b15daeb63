// What can be completed: names of metrics and labels and values of labels, asked once and kept for a short while.

import { get } from "./api.js";

const KEEP_MS = 60e3;
// More than anyone scrolls through, few enough to filter at each key.
const NAME_LIMIT = 20000, VALUE_LIMIT = 2000, METADATA_LIMIT = 20000;

const kept = new Map();

/** A failed request counts as an empty answer, since completion is only a help, and is asked again next time. */
function ask(path, parameters, otherwise) {
  const key = `${path}?${new URLSearchParams(parameters)}`;
  const old = kept.get(key);
  if (old && performance.now() - old.at < KEEP_MS) return old.answer;
  const answer = get(path, parameters).then(({ data }) => data, () => { kept.delete(key); return otherwise; });
  kept.set(key, { at: performance.now(), answer });
  return answer;
}

const matching = (metric) => (metric ? { "match[]": metric } : {});

export const metricNames = () => ask("label/__name__/values", { limit: NAME_LIMIT }, []);
export const labelNames = (metric) => ask("labels", { limit: VALUE_LIMIT, ...matching(metric) }, []);
export const labelValues = (label, metric) => ask(`label/${encodeURIComponent(label)}/values`, { limit: VALUE_LIMIT, ...matching(metric) }, []);

/** Name → `{type, help}`. */
export async function metadata() {
  const data = await ask("metadata", { limit: METADATA_LIMIT, limit_per_metric: 1 }, {});
  return (name) => {
    // The samples of a histogram or summary are described under their family's name.
    const entry = data[name] ?? data[name.replace(/_(bucket|sum|count|total)$/, "")];
    return entry?.[0] ?? { type: "", help: "" };
  };
}
