// The platform's API, and its event log as it grows.

// Why a request was refused, as the platform says it (RFC 9457).
export class Problem extends Error {
  constructor(status, title, detail, faults) {
    super(detail);
    Object.assign(this, { status, title, detail, faults });
  }
}

const root = "/api/v1";
let csrfToken;
let sessionEnded = () => {};

export function useSession(token, whenEnded) {
  csrfToken = token;
  sessionEnded = whenEnded ?? sessionEnded;
}

async function problem(response) {
  try {
    const body = await response.json();
    return new Problem(response.status, body.title, body.detail, body.faults ?? []);
  } catch {
    return new Problem(response.status, response.statusText, `HTTP ${response.status}`, []);
  }
}

async function request(method, path, { body, text, mediaType, headers, signal } = {}) {
  const all = { accept: "application/json", ...headers };
  if (method !== "GET") {
    if (csrfToken) all["x-cloudwright-csrf"] = csrfToken;
    if (!/\/(password|second-factor.*|erasures)$/.test(path) && !path.startsWith("/console/")) all["idempotency-key"] = crypto.randomUUID();
  }
  if (body !== undefined || mediaType) all["content-type"] = mediaType ?? "application/json";
  let response;
  try {
    response = await fetch(root + path, {
      method, headers: all, signal, body: body === undefined ? text : JSON.stringify(body),
      credentials: "same-origin", cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "", "", []);
  }
  if (response.ok) return response;
  const refusal = await problem(response);
  if (refusal.status === 401 && !path.startsWith("/console/")) sessionEnded();
  throw refusal;
}

export function query(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

export async function get(path, signal) {
  return (await request("GET", path, { signal })).json();
}

export async function getText(path, accept) {
  return (await request("GET", path, { headers: { accept } })).text();
}

export async function send(method, path, body, headers) {
  const response = await request(method, path, { body, headers });
  return response.status === 204 ? undefined : response.json();
}

// A text that is no JSON of this page's own.
export async function sendText(method, path, text, mediaType, headers) {
  return (await request(method, path, { text, mediaType, headers })).json();
}

// Which version something is of: what it is changed on the condition of.
export async function entityTag(path) {
  return (await request("GET", path)).headers.get("etag") ?? "*";
}

// A part of a list that is no JSON document as a whole, and where it goes on; empty at the end.
export async function getPart(path, signal) {
  const response = await request("GET", path, { signal, headers: { accept: "*/*" } });
  return { text: await response.text(), next: response.headers.get("x-next-cursor") ?? "" };
}

// A file as it is, which may be large: the browser sends it piece by piece.
export async function upload(path, file) {
  const headers = { accept: "application/json", "content-type": "application/octet-stream" };
  if (csrfToken) headers["x-cloudwright-csrf"] = csrfToken;
  let response;
  try {
    response = await fetch(root + path, { method: "POST", headers, body: file, credentials: "same-origin" });
  } catch { throw new Problem(0, "", "", []); }
  if (!response.ok) throw await problem(response);
  return response.json();
}

// Health is told with 503 where a part does not work; that is an answer, not a refusal.
export async function health() {
  try {
    return await (await fetch("/healthz", { cache: "no-store" })).json();
  } catch {
    return undefined;
  }
}

// Changes a limit of a service, based on what it is now.
export async function setConstraint(service, constraint, value) {
  const path = `/services/${encodeURIComponent(service)}/constraints`;
  const present = await request("GET", path);
  return send("PATCH", path, { constraint, value }, { "if-match": present.headers.get("etag") ?? "*" });
}

// Follows the event log without a gap: after a break it goes on behind the last event that was seen. While the page is
// hidden nothing is followed, so that many open tabs do not take all of the browser's connections.
export class EventFeed {
  constructor() {
    this.listeners = new Set();
    this.state = "off";
    this.visibility = () => (document.hidden ? this.stop() : this.start());
  }

  open() {
    document.addEventListener("visibilitychange", this.visibility);
    this.start();
  }

  close() {
    document.removeEventListener("visibilitychange", this.visibility);
    this.stop();
    this.position = undefined;
  }

  start() {
    if (this.controller || document.hidden) return;
    this.controller = new AbortController();
    this.run(this.controller.signal);
  }

  stop() {
    this.controller?.abort();
    this.controller = undefined;
    this.tell("off");
  }

  tell(state) {
    this.state = state;
    for (const listener of this.listeners) listener(undefined, state);
  }

  async run(signal) {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const headers = { accept: "text/event-stream" };
        if (this.position) headers["last-event-id"] = this.position;
        const response = await fetch(`${root}/events/stream`, { headers, signal, cache: "no-store" });
        if (response.status === 401) { sessionEnded(); return; }
        if (response.ok) {
          attempt = 0;
          this.tell("live");
          await this.read(response.body.getReader());
        }
      } catch {
        // The connection broke; what was missed comes with the next one.
      }
      if (signal.aborted) return;
      this.tell("broken");
      await new Promise((resume) => setTimeout(resume, Math.min(10_000, 500 * 2 ** attempt)));
    }
  }

  async read(reader) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) this.take(block);
    }
  }

  take(block) {
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("id: ")) this.position = line.slice(4);
      if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (!data) return;
    const event = JSON.parse(data);
    for (const listener of this.listeners) listener(event, this.state);
  }
}

export const feed = new EventFeed();
