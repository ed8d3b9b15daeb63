// What the editor knows of the language: enough to colour it and to complete words in it. The server does the parsing.
// Experimental functions are left out: by default the server refuses them.

const FUNCTIONS = `abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp clamp_max clamp_min cos cosh
count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv exp first_over_time floor
histogram_avg histogram_count histogram_fraction histogram_quantile histogram_stddev histogram_stdvar histogram_sum hour idelta
increase irate label_join label_replace last_over_time ln log10 log2 max_over_time min_over_time minute month pi
predict_linear present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh sort
sort_desc sqrt stddev_over_time stdvar_over_time sum_over_time tan tanh time timestamp vector year`.split(/\s+/);
const AGGREGATIONS = "avg bottomk count count_values group max min quantile stddev stdvar sum topk".split(" ");
const KEYWORDS = "and atan2 bool by group_left group_right ignoring offset on or unless without".split(" ");

/** Words for completion: `[{text, kind}]`. */
export const words = [...AGGREGATIONS.map((text) => ({ text, kind: "aggregation" })),
  ...FUNCTIONS.map((text) => ({ text, kind: "function" })), ...KEYWORDS.map((text) => ({ text, kind: "keyword" }))];

const kinds = new Map(words.map(({ text, kind }) => [text, kind]));

const TOKEN = new RegExp([
  /(?<comment>#[^\n]*)/, /(?<string>"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|`[^`]*`?)/,
  /(?<number>(?<![\w:.])(?:0[xX][\da-fA-F]+|\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*|\d*\.?\d+(?:[eE][+-]?\d+)?)(?![\w:]))/,
  /(?<word>[a-zA-Z_:][\w:.]*)/, /(?<operator>[-+*/%^=!<>~@]+)/,
].map((part) => part.source).join("|"), "g");

/** Cuts an expression into `[text, class]` pieces; pieces without a class are `""`. */
export function pieces(text) {
  const result = [];
  let at = 0, depth = 0;
  for (const match of text.matchAll(TOKEN)) {
    const between = text.slice(at, match.index);
    for (const ch of between) depth += ch === "{" ? 1 : ch === "}" ? -1 : 0;
    if (between) result.push([between, ""]);
    at = match.index + match[0].length;
    const { comment, string, number, word } = match.groups;
    let kind = comment ? "comment" : string ? "string" : number ? "number" : "operator";
    if (word) kind = depth > 0 ? "label" : kinds.get(word.toLowerCase()) ?? "metric";
    result.push([match[0], kind]);
  }
  if (at < text.length) result.push([text.slice(at), ""]);
  return result;
}

/**
 * What is being typed at `caret`: `{kind: "word" | "label" | "value", from, text, metric, label}`, or null inside a string
 * that is no label's value, or in a comment.
 */
export function contextAt(text, caret) {
  const before = text.slice(0, caret);
  let depth = 0, open = -1, parenthesis = null, quote = "", start = 0, comment = false;
  for (let i = 0; i < before.length; i++) {
    const ch = before[i];
    if (comment) { comment = ch !== "\n"; continue; }
    if (quote) {
      if (ch === "\\" && quote !== "`") i++;
      else if (ch === quote) quote = "";
    } else if (ch === '"' || ch === "'" || ch === "`") { quote = ch; start = i + 1; }
    else if (ch === "#") comment = true;
    else if (ch === "{") { depth = 1; open = i; }
    else if (ch === "}") depth = 0;
    else if (ch === "(") parenthesis = i;
    else if (ch === ")") parenthesis = null;
  }
  if (comment) return null;
  const metric = depth > 0 ? /([a-zA-Z_:][\w:.]*)\s*$/.exec(before.slice(0, open))?.[1] ?? "" : "";
  if (quote) {
    const label = depth > 0 ? /([a-zA-Z_]\w*)\s*(?:=~|!~|=|!=)\s*$/.exec(before.slice(0, start - 1))?.[1] : null;
    return label ? { kind: "value", from: start, text: before.slice(start), metric, label } : null;
  }
  const word = /[a-zA-Z_:][\w:.]*$/.exec(before)?.[0] ?? "";
  if (/[\d.\[]$/.test(before.slice(0, before.length - word.length)) && word.length < 3) return null;  // a duration such as 5m
  // The labels in `by (…)` are completed like those in braces.
  const grouping = parenthesis !== null && /\b(?:by|without|on|ignoring|group_left|group_right)\s*$/i.test(before.slice(0, parenthesis));
  return { kind: depth > 0 || grouping ? "label" : "word", from: caret - word.length, text: word, metric, label: null };
}
