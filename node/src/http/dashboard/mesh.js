// The matrix of devices and parts, and who is who.

/** An element with text, attributes and children. */
export function element(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A time in words: 4.1 ms, 1.2 s. */
export function duration(us) {
  if (us < 1000) return `${us} µs`;
  if (us < 100_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

/** How a node is called: by its name, and where two share it or it has none, by its id. */
export function nameOf(status, id) {
  const member = status?.members.find((m) => m.node === id);
  const short = id.slice(0, 8);
  if (!member?.name) return short;
  const isShared = status.members.some((m) => m.name === member.name && m.node !== id);
  return isShared ? `${member.name} (${short})` : member.name;
}

/** A member's state in one word. */
export function stateOf(member) {
  if (member.state === "down") return "dead";
  if (member.state === "suspect") return "suspect";
  return member.routable ? "alive" : "unlinked";
}

const SIGNS = { ready: "●", loading: "◐", unlinked: "◌", suspect: "?", dead: "✕", none: "·" };
const WORDS = {
  ready: "ready",
  loading: "planned, not ready yet",
  unlinked: "not reached from here",
  suspect: "suspect",
  dead: "dead",
  none: "does not hold it",
};

/** The members in the order of rows: by name, as people count. */
export function ordered(status) {
  const names = new Map(status.members.map((m) => [m.node, nameOf(status, m.node)]));
  const compare = (a, b) => names.get(a.node).localeCompare(names.get(b.node), "en", { numeric: true });
  return [...status.members].sort(compare);
}

function cellState(member, part) {
  const holds = member.ready.includes(part.part);
  const planned = part.group.includes(member.node);
  if (!holds && !planned) return "none";
  const state = stateOf(member);
  if (state !== "alive") return state;
  return holds ? "ready" : "loading";
}

/** Draws the whole matrix. `paces` are how quickly whose answers came. */
export function drawMatrix(table, status, paces) {
  const head = element("tr", {}, element("th", { scope: "col" }, "device"));
  for (const part of status.parts) {
    const student = element("small", {}, part.student ?? "no plan");
    head.append(element("th", { scope: "col" }, `part ${part.part}`, student));
  }
  const rows = ordered(status).map((member) => {
    const state = stateOf(member);
    const marks = [];
    if (member.node === status.leader) marks.push("leads");
    if (member.node === status.node) marks.push("this node");
    if (state !== "alive") marks.push(state);
    const notes = marks.length ? element("small", {}, ` ${marks.join(", ")}`) : "";
    const name = element("th", { scope: "row" }, nameOf(status, member.node), notes);
    const cells = status.parts.map((part) => {
      const of = cellState(member, part);
      const pace = of === "ready" && paces.find((p) => p.replica === member.node && p.part === part.part);
      const text = pace ? duration(pace.run_us) : of === "none" ? "" : of;
      const title = pace ? `${WORDS[of]}; ${pace.wins} answers used, in ${duration(pace.after_us)}` : WORDS[of];
      const sign = element("span", { "aria-hidden": "true" }, `${SIGNS[of]} `);
      const words = element("span", { class: "unseen" }, pace ? `${WORDS[of]}, runs ` : of === "none" ? WORDS[of] : "");
      return element("td", { "data-state": of, "data-part": part.part, title }, sign, words, text);
    });
    return element("tr", { "data-state": state, "data-node": member.node, "data-name": member.name }, name, ...cells);
  });
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...rows);
}
