// Who is reached from here. What was lost together is drawn together: perhaps an island of its own, beyond a cut; one that was lost
// alone has more likely died. A node cannot tell the two apart, and the page does not pretend to.

import { element, nameOf, ordered, stateOf } from "./mesh.js";

/** Members lost within this time of each other are drawn as one island. */
const TOGETHER_MS = 3000;
/** Names are written out up to so many members. */
const NAMED_MAX = 24;

/** `lostAt` says when a member was lost, ms since 1970, as far as is known. */
export function islands(status, lostAt) {
  const here = [];
  const lost = [];
  for (const member of ordered(status)) {
    (stateOf(member) === "dead" ? lost : here).push(member);
  }
  const groups = [];
  const at = (member) => lostAt.get(member.node) ?? 0;
  for (const member of lost.sort((a, b) => at(a) - at(b))) {
    const last = groups.at(-1);
    if (last && at(member) - last.until <= TOGETHER_MS) {
      last.members.push(member);
      last.until = at(member);
    } else {
      groups.push({ members: [member], since: at(member), until: at(member) });
    }
  }
  return { here, lost: groups };
}

/** The islands in one sentence. */
export function inWords(status, { here, lost }) {
  const names = (members) => members.map((m) => nameOf(status, m.node)).join(", ");
  if (status.members.length === 1) return "This node knows of no other member.";
  if (lost.length === 0) return `All ${here.length} members are on one island.`;
  const told = lost.map(({ members, since }) => {
    const when = since ? ` since ${new Date(since).toLocaleTimeString("en-GB")}` : "";
    const what = members.length > 1 ? "lost together, perhaps cut off" : "lost";
    return `${names(members)} (${what}${when})`;
  });
  return `${here.length} of ${status.members.length} members are on this node's island. Not heard of: ${told.join("; ")}.`;
}

/** Draws them. */
export function drawIslands(svg, status, found) {
  const shapes = [];
  const all = [found.here, ...found.lost.map((group) => group.members)];
  const weights = all.map((members) => Math.max(1.2, Math.sqrt(members.length)));
  const total = weights.reduce((a, b) => a + b, 0);
  let left = 10;
  all.forEach((members, index) => {
    const width = (620 * weights[index]) / total - 10;
    shapes.push(...island(status, members, left, width, index > 0));
    left += width + 10;
  });
  svg.replaceChildren(...shapes);
}

function island(status, members, left, width, isLost) {
  const [cx, cy] = [left + width / 2, 210];
  const [rx, ry] = [width / 2, Math.min(198, 60 + members.length * 28)];
  const land = element("svg:ellipse", { class: isLost ? "land lost" : "land", cx, cy, rx, ry });
  const ring = members.length === 1 ? 0 : 0.66;
  const places = members.map((_, i) => {
    const angle = (2 * Math.PI * i) / members.length - Math.PI / 2;
    return [cx + ring * rx * Math.cos(angle), cy + ring * ry * Math.sin(angle)];
  });
  const links = [];
  if (!isLost) {
    const me = members.findIndex((m) => m.node === status.node);
    members.forEach((member, i) => {
      if (i === me || !member.routable) return;
      const [[x1, y1], [x2, y2]] = [places[me], places[i]];
      links.push(element("svg:line", { class: "link", x1, y1, x2, y2 }));
    });
  }
  const nodes = members.map((member, i) => {
    const [x, y] = places[i];
    const state = isLost ? "dead" : stateOf(member) === "alive" ? "ready" : stateOf(member);
    const group = element("svg:g", {
      class: member.node === status.node ? "me" : "",
      "data-state": state,
      "data-node": member.node,
    });
    group.append(
      element("svg:circle", { cx: x, cy: y, r: 9 }),
      element("svg:title", {}, `${nameOf(status, member.node)}: ${stateOf(member)}`),
    );
    if (member.node === status.leader) {
      group.append(element("svg:text", { class: "crown", x, y: y - 13, "text-anchor": "middle" }, "♛"));
    }
    if (members.length <= NAMED_MAX) {
      group.append(element("svg:text", { x, y: y + 24, "text-anchor": "middle" }, nameOf(status, member.node)));
    }
    return group;
  });
  return [land, ...links, ...nodes];
}
