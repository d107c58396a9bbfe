// Follows a node's server-sent events by fetch, which, unlike EventSource, can bring the node's token.

const RETRY_MS = 1000;
/** A node tells its status once a second; one that is silent for so long is taken to be gone. */
const SILENCE_MS = 4000;

let token = sessionStorage.getItem("rocoin-token");

/** Keeps the token for this tab. */
export function useToken(text) {
  token = text.trim();
  sessionStorage.setItem("rocoin-token", token);
}

/** Fetches from this node, with the token if there is one. */
export function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  return fetch(path, { ...options, headers });
}

/**
 * Follows for ever. `on` has a function for each event's name, and `state(name, text)` for the connection:
 * `live`, `gone`, `locked`. Resolves when the node wants a token.
 */
export async function follow(on) {
  let lastId = null;
  for (;;) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const tried = token;
      const headers = lastId === null ? {} : { "last-event-id": lastId };
      const response = await ask("/api/events", { headers, signal: silence.signal, cache: "no-store" });
      if (response.status === 401) {
        if (token !== tried) continue;
        on.state("locked", "this node wants its token");
        return;
      }
      if (!response.ok) throw new Error((await response.json()).error);
      on.state("live", "live");
      for await (const { event, data, id } of events(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        if (id) lastId = id;
        try {
          on[event]?.(JSON.parse(data));
        } catch (error) {
          // A mistake of this page says nothing about the node.
          reportError(error);
        }
      }
      on.state("gone", "the node has left; trying again …");
    } catch (error) {
      const why = error.name === "AbortError" || error instanceof TypeError ? "the node does not answer" : error.message;
      on.state("gone", `${why}; trying again …`);
    } finally {
      clearTimeout(timer);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = { event: "message", data: "", id: null };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        const field = line.slice(0, colon);
        if (field in event) event[field] = line.slice(colon + 1).replace(/^ /, "");
      }
      if (event.data) yield event;
    }
  }
}
