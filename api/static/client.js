// Requests to the API: the token from this tab's memory, errors with their words, and event streams that go on.

const KEY = "executioner-token";

export class Problem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const session = { me: null, onEnd: () => {} };

export function hasToken() {
  return Boolean(sessionStorage.getItem(KEY));
}

export function setToken(token) {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
  session.me = null;
}

export function mayOperate() {
  return session.me !== null && session.me.role === "operate";
}

async function send(path, options) {
  const given = options || {};
  const headers = { Authorization: "Bearer " + (sessionStorage.getItem(KEY) || "") };
  if (given.body !== undefined) headers["Content-Type"] = "application/json";
  if (given.lastId) headers["Last-Event-ID"] = given.lastId;
  let response;
  try {
    response = await fetch(path, { method: given.method || "GET", headers, signal: given.signal, cache: "no-store", credentials: "omit",
      body: given.body === undefined ? undefined : JSON.stringify(given.body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The server cannot be reached.");
  }
  if (response.ok) return response;
  let told = { code: "unknown", message: "The server answered " + response.status + "." };
  try { told = await response.json(); } catch (error) { /* an answer of something between us and the server */ }
  if (response.status === 401) session.onEnd();
  throw new Problem(response.status, told.code, told.message || "");
}

export async function getJson(path, signal) {
  return (await send(path, { signal })).json();
}

export async function postJson(path, body) {
  return (await send(path, { method: "POST", body: body || {} })).json();
}

export async function getOutput(path, signal) {
  const response = await send(path, { signal });
  const number = (name) => Number(response.headers.get(name));
  return { text: await response.text(), start: number("X-Log-Start"), next: number("X-Log-Next"), size: number("X-Log-Size"),
    over: response.headers.get("X-Log-Over") === "true" };
}

// All pages of a list, one after the other; `each` gets every page.
export async function everyPage(path, signal, each) {
  let after = "";
  for (;;) {
    const page = await getJson(path + after, signal);
    each(page);
    if (page.next === null) return;
    after = (path.includes("?") ? "&" : "?") + "after=" + encodeURIComponent(page.next);
  }
}

// Events until one is called "end"; a stream that breaks is taken up where it broke.
export async function streamEvents(path, signal, onEvent, onState) {
  let lastId = "";
  let pause = 1000;
  while (!signal.aborted) {
    try {
      const response = await send(path, { signal, lastId });
      if (onState) onState(true);
      pause = 1000;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const piece = await reader.read();
        if (piece.done) break;
        const blocks = (rest + piece.value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const event = {};
          for (const line of block.split("\n")) {
            const colon = line.indexOf(": ");
            if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
          }
          if (event.id) lastId = event.id;
          if (event.event === "end") { onEvent("end", JSON.parse(event.data)); return; }
          if (event.event) onEvent(event.event, JSON.parse(event.data));
        }
      }
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      if (error instanceof Problem && [401, 403, 404].includes(error.status)) throw error;
    }
    if (signal.aborted) return;
    if (onState) onState(false);
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, 15000);
  }
}

export function pathOf(...parts) {
  return "/api/v1/" + parts.map((part) => encodeURIComponent(part)).join("/");
}
