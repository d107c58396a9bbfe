// An image, drawn or chosen, is asked about, and the answer is explained.

import { ask } from "./feed.js";
import { duration, element, nameOf } from "./mesh.js";

const PEN = 1 / 10;
const SHOWN_MAX = 10;
/** µs in which no bar is narrower than this share of the whole. */
const BAR_MIN = 0.004;

/** The panel. `status()` gives what the node told last. */
export class TryIt {
  #byId;
  #status;
  #model = null;
  #isDrawn = false;
  #pen = null;

  constructor(byId, status) {
    [this.#byId, this.#status] = [byId, status];
    const canvas = byId("sketch");
    this.#clear();
    canvas.addEventListener("pointerdown", (event) => this.#draw(event, true));
    canvas.addEventListener("pointermove", (event) => this.#draw(event, false));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) canvas.addEventListener(end, () => (this.#pen = null));
    byId("file").addEventListener("change", () => this.#load());
    byId("clear").addEventListener("click", () => this.#clear());
    byId("tryit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  /** Another bundle is served. Throws if the node cannot say now what of: what was known then stays. */
  async renew() {
    const response = await ask("/api/model");
    if (!response.ok) throw new Error(`the node answers ${response.status}`);
    this.#model = await response.json();
    const [channels, height, width] = this.#model?.shape ?? [];
    const isImage = this.#model?.shape.length === 3 && [1, 3].includes(channels);
    this.#byId("tryit-form").hidden = !isImage;
    this.#byId("tryit-notice").hidden = isImage;
    if (!this.#model) {
      this.#byId("tryit-notice").textContent = "Nothing is served yet.";
    } else if (!isImage) {
      this.#byId("tryit-notice").textContent = `${this.#model.name} takes ${this.#model.shape.join("×")}, which is no image; use rocoin infer.`;
    } else {
      const kind = channels === 1 ? "grey" : "colour";
      this.#byId("tryit-hint").textContent =
        `${this.#model.name} takes ${width}×${height}, ${kind}. Draw, or choose a file; it is scaled to that.`;
    }
  }

  #context() {
    return this.#byId("sketch").getContext("2d", { willReadFrequently: true });
  }

  #clear() {
    const canvas = this.#byId("sketch");
    const context = this.#context();
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    this.#isDrawn = false;
    this.#byId("file").value = "";
  }

  #draw(event, isStart) {
    if (!isStart && !this.#pen) return;
    const canvas = this.#byId("sketch");
    const box = canvas.getBoundingClientRect();
    const at = [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
    const context = this.#context();
    context.strokeStyle = "#fff";
    context.lineWidth = canvas.width * PEN;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...(this.#pen ?? at));
    context.lineTo(...at);
    context.stroke();
    this.#pen = at;
    this.#isDrawn = true;
  }

  async #load() {
    const [file] = this.#byId("file").files;
    if (!file) return;
    const canvas = this.#byId("sketch");
    try {
      const image = await createImageBitmap(file);
      const context = this.#context();
      context.imageSmoothingQuality = "high";
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      this.#isDrawn = true;
    } catch {
      this.#fail(`${file.name} is no image that this browser can read`);
    }
  }

  /** The image as the model takes it: channels, rows, columns; 0 to 255. */
  #pixels() {
    const [channels, height, width] = this.#model.shape;
    const small = element("canvas", { width, height });
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#byId("sketch"), 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const invert = this.#byId("invert").checked;
    const planes = Array.from({ length: channels }, () => []);
    for (let i = 0; i < data.length; i += 4) {
      const grey = Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]);
      for (let c = 0; c < channels; c++) {
        const value = channels === 1 ? grey : data[i + c];
        planes[c].push(invert ? 255 - value : value);
      }
    }
    return planes.flat();
  }

  #fail(why) {
    const answer = this.#byId("answer");
    answer.dataset.state = "failed";
    answer.textContent = why;
    this.#byId("probabilities").hidden = true;
    this.#byId("explained").hidden = true;
  }

  async #ask() {
    if (!this.#isDrawn) return this.#fail("Draw something or choose an image first.");
    const { name, input, shape } = this.#model;
    const mode = this.#byId("mode").value;
    const button = this.#byId("ask");
    button.disabled = true;
    try {
      const response = await ask(`/v2/models/${encodeURIComponent(name)}/infer`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          inputs: [{ name: input, shape: [1, ...shape], datatype: "UINT8", data: this.#pixels() }],
          parameters: { explain: true, ...(mode && { mode }) },
        }),
      });
      const body = await response.json();
      if (response.ok) this.#show(body);
      else this.#fail(body.error);
    } catch {
      this.#fail("The node does not answer.");
    } finally {
      button.disabled = false;
    }
  }

  #show({ outputs, parameters }) {
    const logits = outputs.find((output) => output.name === "logits").data;
    const most = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    const ranked = powers
      .map((power, i) => ({ label: this.#model.labels[i] ?? `class ${i}`, share: power / sum }))
      .sort((a, b) => b.share - a.share)
      .slice(0, SHOWN_MAX);
    const took = Math.max(...parameters.after_us);
    const missing = parameters.parts_missing;
    const complete = missing.length ? `without part ${missing.join(", ")}` : "complete";
    const answer = this.#byId("answer");
    answer.dataset.state = "answered";
    answer.replaceChildren(
      element("strong", {}, ranked[0].label),
      ` (${(100 * ranked[0].share).toFixed(1)} %), ${complete}, in ${duration(took)}`,
    );
    const rows = ranked.map(({ label, share }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, label),
        element("td", { class: "value" }, `${(100 * share).toFixed(1)} %`),
        element("td", { "aria-hidden": "true" }, element("meter", { min: 0, max: 1, value: share })),
      ),
    );
    this.#byId("probabilities").tBodies[0].replaceChildren(...rows);
    this.#byId("probabilities").hidden = false;
    this.#explain(parameters, took);
  }

  #explain(parameters, took) {
    const used = (one) => parameters.parts_used.findIndex((part, i) => part === one.part && parameters.replicas[i] === one.replica);
    const tries = [...(parameters.tries ?? [])].sort((a, b) => a.part - b.part || (a.ended_us ?? Infinity) - (b.ended_us ?? Infinity));
    const whole = Math.max(took, ...tries.map((one) => one.ended_us ?? 0), 1);
    const rows = tries.map((one) => {
      const at = used(one);
      const fate = at >= 0 && one.fate === "answered" ? "used" : one.fate;
      const end = one.ended_us ?? took;
      const words = { used: "used", answered: "too late", cancelled: "not needed", failed: "failed", lost: "lost", open: "awaited" };
      const bar = (kind, from, to) =>
        element("svg:rect", {
          class: kind,
          x: (1000 * from) / whole,
          y: kind === "run" ? 6 : 2,
          width: Math.max(1000 * BAR_MIN, (1000 * (to - from)) / whole),
          height: kind === "run" ? 6 : 14,
        });
      const bars = [bar("try", one.asked_us, end)];
      // When the student began is not told: it is drawn as ending with the answer.
      if (fate === "used") bars.push(bar("run", Math.max(one.asked_us, end - parameters.run_us[at]), end));
      const svg = element("svg:svg", { viewBox: "0 0 1000 18", preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars);
      const ran = fate === "used" ? `, the student ran ${duration(parameters.run_us[at])}` : "";
      const time = `asked after ${duration(one.asked_us)}, ended after ${duration(end)}${ran}`;
      return element(
        "tr",
        { "data-fate": fate },
        element("td", {}, one.part),
        element("th", { scope: "row" }, nameOf(this.#status(), one.replica)),
        element("td", {}, words[fate], element("span", { class: "wide" }, `, ${duration(end)}`)),
        element("td", { title: time }, element("span", { class: "unseen" }, time), svg),
      );
    });
    this.#byId("waterfall").tBodies[0].replaceChildren(...rows);
    this.#byId("explained").hidden = rows.length === 0;
  }
}
