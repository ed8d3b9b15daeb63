// The HTTP API. Addresses are relative, so the interface works behind any path prefix.

/** An answer that says "error", or none at all (`type` is then "network"). */
export class ApiError extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}

async function read(path, init) {
  let response, text;
  try {
    response = await fetch(`api/v1/${path}`, init);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("network", "The server did not answer. Is it still running?");
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError("bad_response", `HTTP ${response.status}: ${text.slice(0, 300) || "an empty answer"}`);
  }
  if (body.status !== "success") throw new ApiError(body.errorType ?? "unknown", body.error ?? `HTTP ${response.status}`);
  return { data: body.data, warnings: body.warnings ?? [], infos: body.infos ?? [] };
}

/** GET; resolves to `{data, warnings, infos}`. */
export const get = (path, parameters = {}, signal) => {
  const query = new URLSearchParams(parameters).toString();
  return read(query ? `${path}?${query}` : path, { signal });
};

/** POST of a form: an expression may be longer than an address can be. */
export const post = (path, parameters, signal) => read(path, { method: "POST", body: new URLSearchParams(parameters), signal });
