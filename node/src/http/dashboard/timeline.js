// What happened, in words and on a line of the last five minutes.

import { element, nameOf } from "./mesh.js";

const SHOWN_MAX = 200;
const SPAN_MS = 300_000;

const KINDS = {
  down: "bad", student_failed: "bad", load_failed: "bad", store_failed: "bad", persist_failed: "bad", wrong_hash: "bad",
  identity_clash: "bad", barred: "bad", not_planned: "bad", conflict: "bad", bad_manifest: "bad", disagreed: "bad", missed: "bad",
  suspected: "doubt", unroutable: "doubt", left: "doubt", term_jump_refused: "doubt",
  joined: "good", alive: "good", refuted: "good", routable: "good", ready: "good", fetched: "good",
  leader: "plan", planned: "plan", desired: "plan",
};
const LINES = { bad: 8, doubt: 18, good: 28, plan: 38 };
/** Told to screen readers; the rest is in the list. */
const ANNOUNCED = new Set(["down", "alive", "joined", "left", "leader", "missed"]);
const REASONS = { link_down: "its link is down", request_failed: "a request failed", no_answer: "it does not answer", state: "of its state" };

/** The events that this page knows, the newest last. */
export class Timeline {
  #events = [];
  /** When a member was last given up, ms since 1970. */
  lostAt = new Map();

  add(told) {
    const event = { ...told, at: told.at_unix_ns / 1e6 };
    this.#events.push(event);
    if (this.#events.length > SHOWN_MAX) this.#events.shift();
    if (event.event === "down") this.lostAt.set(event.member, event.at);
    if (["alive", "joined", "left"].includes(event.event)) this.lostAt.delete(event.member);
    return event;
  }

  draw(list, status) {
    const items = [...this.#events].reverse().map((event) => {
      const time = new Date(event.at).toLocaleTimeString("en-GB");
      return element("li", { "data-kind": KINDS[event.event] ?? "plan" }, element("time", {}, time), inWords(event, status));
    });
    list.replaceChildren(...items);
  }

  drawLine(svg) {
    const now = Date.now();
    const marks = [1, 2, 3, 4].map((minute) => {
      const x = 600 - minute * 120;
      const line = element("svg:line", { class: "axis", x1: x, x2: x, y1: 2, y2: 44 });
      const label = element("svg:text", { class: "soft", x, y: 59, "text-anchor": "middle" }, `−${minute} min`);
      return element("svg:g", {}, line, label);
    });
    for (const event of this.#events) {
      const kind = KINDS[event.event] ?? "plan";
      const x = 600 - (600 * (now - event.at)) / SPAN_MS;
      if (x >= 0) marks.push(element("svg:rect", { class: `mark-${kind}`, x: Math.min(x, 596), y: LINES[kind] - 4, width: 4, height: 8 }));
    }
    svg.replaceChildren(...marks);
  }
}

/** Whether a screen reader is to hear of it at once. */
export function isAnnounced(event) {
  return ANNOUNCED.has(event.event);
}

/** An event in a sentence. */
export function inWords(event, status) {
  const who = event.member ? nameOf(status, event.member) : "";
  const short = (digest) => (digest ?? "").slice(0, 8);
  const told = {
    joined: () => `${who} joined`,
    suspected: () => `${who} is suspected by ${nameOf(status, event.by)}`,
    refuted: () => `${who} refuted the suspicion`,
    down: () => `${who} is given up`,
    alive: () => `${who} is back`,
    left: () => `${who} left`,
    routable: () => `requests go to ${who} again`,
    unroutable: () => `no requests to ${who}: ${REASONS[event.reason] ?? event.reason}`,
    identity_clash: () => `two devices have the identity ${who}`,
    leader: () => (event.member ? `${who} leads, term ${event.term}` : "nobody leads"),
    planned: () => `plan ${event.epoch}: ${event.moved} moved${event.reasons.length ? `; ${event.reasons.join("; ")}` : ""}`,
    not_planned: () => `no plan can be made: ${event.reason}`,
    barred: () => `${who} may not lead`,
    persist_failed: () => `the state folder cannot be written: ${event.reason}`,
    term_jump_refused: () => `${who} speaks of a term far too high`,
    desired: () => `bundle ${short(event.bundle)} is wanted`,
    conflict: () => `two bundles have one name and version: ${short(event.bundle)} and ${short(event.other)}`,
    fetched: () => `fetched ${short(event.artifact)}, ${Math.ceil(event.bytes / 1024)} KiB`,
    wrong_hash: () => `${who} sent bytes that are not ${short(event.artifact)}`,
    bad_manifest: () => `bundle ${short(event.bundle)} cannot be served: ${event.reason}`,
    store_failed: () => `${short(event.artifact)} cannot be stored: ${event.reason}`,
    ready: () => `student ${short(event.student)} is ready here`,
    load_failed: () => `student ${short(event.student)} cannot be loaded: ${event.reason}`,
    unloaded: () => `student ${short(event.student)} was freed`,
    discarded: () => `${short(event.artifact)} was deleted`,
    student_failed: () => `student ${short(event.student)} failed: ${event.reason}`,
    disagreed: () => `${who} answers part ${event.part} otherwise than ${event.outvoted ? "the majority" : "others"}`,
    missed: () => `${event.count} events were missed: this page was too slow`,
  };
  return told[event.event]?.() ?? event.event;
}
