import { newKey } from "./client/index.js";
import { arrange, el, setText } from "./dom.js";
import { MarkdownBody } from "./markdown.js";

/**
 * Messages on their way: shown at once, taken away when the conversation has them, kept with a reason and a way to
 * try again when they were refused. Each keeps its idempotency key, so trying again cannot ask twice.
 */
export class Outbox {
  #onchange;
  #messages = [];

  /** @param {() => void} onchange */
  constructor(onchange) {
    this.#onchange = onchange;
  }

  get isEmpty() {
    return this.#messages.length === 0;
  }

  get elements() {
    return this.#messages.map(({ element }) => element);
  }

  /**
   * @param {string} text
   * @param {ReadonlySet<string>} knownRuns the runs that are shown already: none of them is this message's
   * @param {(key: string) => Promise<{correlationId: string}>} send
   */
  add(text, knownRuns, send) {
    const message = { text, key: newKey(), runId: null, knownRuns, isWaiting: true, send };
    message.element = this.#build(message);
    this.#messages.push(message);
    return this.#try(message);
  }

  /** Takes away what has become part of the conversation. */
  settle(runs) {
    const isShown = (message) => runs.some((run) => isRunOf(message, run));
    const left = this.#messages.filter((message) => !isShown(message));
    if (left.length === this.#messages.length) return;
    this.#messages = left;
    this.#onchange();
  }

  clear() {
    this.#messages = [];
    this.#onchange();
  }

  #build(message) {
    const body = new MarkdownBody({ isMessage: true });
    body.update(message.text);
    body.element.classList.add("bubble");
    const again = el("button", { type: "button", class: "plain", text: "Try again", onclick: () => this.#try(message) });
    const drop = el("button", { type: "button", class: "plain", text: "Discard", onclick: () => this.#drop(message) });
    message.note = el("p", { class: "pending-note" });
    message.buttons = el("div", { class: "pending-buttons" }, again, drop);
    return el("article", { class: "run pending", "aria-label": "Your message" }, el("div", { class: "said" }, body.element, message.note, message.buttons));
  }

  async #try(message) {
    this.#show(message, "waiting", "Sending …");
    try {
      message.runId = (await message.send(message.key)).correlationId;
    } catch (error) {
      this.#show(message, "refused", refusal(error));
    }
    this.#onchange();
  }

  #show(message, state, note) {
    message.isWaiting = state === "waiting";
    message.element.dataset.state = state;
    message.buttons.hidden = state === "waiting";
    setText(message.note, note);
    message.note.toggleAttribute("data-refused", state === "refused");
    this.#onchange();
  }

  #drop(message) {
    arrange(message.element, []);
    this.#messages = this.#messages.filter((other) => other !== message);
    this.#onchange();
  }
}

function isRunOf(message, run) {
  if (message.runId !== null) return run.correlationId === message.runId;
  // The event may overtake the reply; then the text tells, among runs that were not there before.
  const isNew = message.isWaiting && !message.knownRuns.has(run.correlationId);
  return isNew && run.messages.some(({ text }) => text.trim() === message.text.trim());
}

function refusal(error) {
  const wait = error.retryAfterS ? ` Try again in ${Math.ceil(error.retryAfterS)} s.` : "";
  return `Not sent: ${error.message}${wait}`;
}
