// The requests of the last minute: how many a second, how they went, how long they took.

import { duration, element } from "./mesh.js";

const SECONDS = 60;
const [WIDTH, HEIGHT] = [600, 120];

/** The last minute, second by second. */
export class Requests {
  #seconds = [];

  add(seconds) {
    let last = this.#seconds.at(-1)?.unix_s ?? 0;
    // The node's clock was set back: what it tells now is what counts.
    if (seconds.length && seconds.at(-1).unix_s < last) [this.#seconds, last] = [[], 0];
    this.#seconds.push(...seconds.filter((second) => second.unix_s > last));
    this.#seconds = this.#seconds.slice(-SECONDS);
  }

  /** Writes the figures: totals of the minute, and of the last second with answers how long they took. */
  write(byId) {
    const sum = (of) => this.#seconds.reduce((total, second) => total + second[of], 0);
    const recent = this.#seconds.slice(-5);
    const rate = recent.reduce((total, s) => total + s.answered + s.failed, 0) / Math.max(1, recent.length);
    const last = this.#seconds.findLast((second) => second.p50_us !== null);
    byId("rate").textContent = rate.toFixed(rate < 10 ? 1 : 0);
    byId("p50").textContent = last ? `≤ ${duration(last.p50_us)}` : "–";
    byId("p99").textContent = last ? `≤ ${duration(last.p99_us)}` : "–";
    byId("degraded").textContent = sum("degraded");
    byId("failed").textContent = sum("failed");
  }

  drawRate(svg) {
    const most = Math.max(4, ...this.#seconds.map((s) => s.answered + s.failed));
    const width = WIDTH / SECONDS;
    const bars = this.#seconds.flatMap((second, i) => {
      const x = (SECONDS - this.#seconds.length + i) * width;
      let y = HEIGHT;
      const bar = (kind, count) => {
        const height = (count / most) * (HEIGHT - 16);
        y -= height;
        return element("svg:rect", { class: `bar-${kind}`, x: x + 1, y, width: width - 2, height });
      };
      const counts = { answered: second.answered - second.degraded, degraded: second.degraded, failed: second.failed };
      return Object.entries(counts).filter(([, count]) => count > 0).map(([kind, count]) => bar(kind, count));
    });
    svg.replaceChildren(axis(), scale(`${most} a second`), ...bars);
  }

  drawLatency(svg) {
    const most = Math.max(1000, ...this.#seconds.map((s) => s.p99_us ?? 0));
    const line = (of) => {
      const points = this.#seconds.map((second, i) => {
        const x = ((SECONDS - this.#seconds.length + i + 0.5) * WIDTH) / SECONDS;
        return second[of] === null ? null : `${x.toFixed(1)},${(HEIGHT - (second[of] / most) * (HEIGHT - 16)).toFixed(1)}`;
      });
      // A second without answers is a gap in the line; one between two gaps is a point.
      const path = points.map((point, i) => (point ? `${i > 0 && points[i - 1] ? "" : `M${point}`}L${point}` : "")).join(" ");
      return element("svg:path", { class: `chart-line line-${of.slice(0, 3)}`, d: path, "stroke-linecap": "round" });
    };
    svg.replaceChildren(axis(), scale(`${duration(most)}; solid: p50, dashed: p99`), line("p99_us"), line("p50_us"));
  }
}

function axis() {
  return element("svg:line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 });
}

function scale(text) {
  return element("svg:text", { class: "soft", x: 2, y: 11 }, text);
}
