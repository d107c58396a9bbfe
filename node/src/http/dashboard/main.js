// Follows this page's node and draws what it tells.

import { follow, useToken } from "./feed.js";
import { drawIslands, inWords as islandsInWords, islands } from "./islands.js";
import { drawMatrix, nameOf } from "./mesh.js";
import { Requests } from "./requests.js";
import { Timeline, inWords, isAnnounced } from "./timeline.js";
import { TryIt } from "./tryit.js";

const byId = (id) => document.getElementById(id);
const timeline = new Timeline();
const requests = new Requests();
const tryIt = new TryIt(byId, () => status);
/** What the node told last. */
let status = null;
let paces = [];
let bundle;
/** Events from before this page was opened are listed, not announced. */
let openedAt = Date.now();
let isDrawDue = false;

/** Draws once for all that came together. */
function drawSoon() {
  if (isDrawDue) return;
  isDrawDue = true;
  setTimeout(() => {
    isDrawDue = false;
    draw();
  }, 50);
}

function draw() {
  requests.write(byId);
  requests.drawRate(byId("rate-chart"));
  requests.drawLatency(byId("latency-chart"));
  timeline.drawLine(byId("timeline"));
  if (!status) return;
  timeline.draw(byId("events"), status);
  document.title = `${status.name} – rocoin`;
  byId("node-name").textContent = `${status.name} (${status.node.slice(0, 8)})`;
  byId("leader").textContent = status.leader ? nameOf(status, status.leader) : "nobody";
  byId("term").textContent = status.term;
  byId("epoch").textContent = status.epoch ?? "none";
  byId("bundle").textContent = status.bundle ? `${status.bundle.name} ${status.bundle.version}` : "none";
  byId("parts-served").textContent = `${status.parts_served} of ${status.parts.length}`;
  drawMatrix(byId("matrix"), status, paces);
  const found = islands(status, timeline.lostAt);
  const words = islandsInWords(status, found);
  if (byId("islands-text").textContent !== words) byId("islands-text").textContent = words;
  drawIslands(byId("islands"), status, found);
}

function onStatus(told) {
  status = told;
  const digest = told.bundle?.digest ?? null;
  if (digest !== bundle) {
    bundle = digest;
    tryIt.renew().catch(() => (bundle = undefined));
  }
  drawSoon();
}

function onEvent(told) {
  const event = timeline.add(told);
  if (isAnnounced(event) && event.at > openedAt) byId("announcer").textContent = inWords(event, status);
  drawSoon();
}

function onState(state, text) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = text;
  document.body.classList.toggle("gone", state === "gone");
  byId("token-form").hidden = state !== "locked";
}

let isFollowing = false;

async function start() {
  if (isFollowing) return;
  isFollowing = true;
  try {
    await follow({
      state: onState,
      status: onStatus,
      happened: onEvent,
      missed: ({ count }) => onEvent({ event: "missed", count, at_unix_ns: Date.now() * 1e6 }),
      requests: (told) => {
        requests.add(told.seconds);
        paces = told.replicas;
        drawSoon();
      },
    });
  } finally {
    isFollowing = false;
  }
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value);
  start();
});
start();
