import { arrange } from "./dom.js";
import { RunView } from "./run-view.js";

/** A person who scrolls down to this close to the end, in pixels, wants to follow it. */
const NEAR_END_PX = 60;

/** The conversation on the page. Draws at most once per frame, and only the runs that have changed. */
export class ConversationView {
  #log;
  #scroller;
  #latest;
  #actions;
  #runs = new Map();
  #waiting = new Set();
  #state = { runs: [] };
  #pending = [];
  #frame = 0;
  #isAtEnd = true;
  #top = 0;

  /**
   * @param {{log: Element, scroller: Element, latest: HTMLButtonElement}} elements
   * @param {{approve: Function}} actions
   */
  constructor({ log, scroller, latest }, actions) {
    this.#log = log;
    this.#scroller = scroller;
    this.#latest = latest;
    this.#actions = actions;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    latest.addEventListener("click", () => this.toEnd());
    // Images that arrive, a keyboard that opens: the end moves without a word being added.
    const sizes = new ResizeObserver(() => this.#isAtEnd && this.#jump());
    sizes.observe(scroller);
    sizes.observe(log);
  }

  /**
   * @param {object} state the conversation state
   * @param {Iterable<string>} changed the runs that differ from the last call
   */
  show(state, changed) {
    this.#state = state;
    for (const runId of changed) this.#waiting.add(runId);
    this.#schedule();
  }

  /** @param {Element[]} elements messages that are not part of the conversation yet; they stand below it */
  showPending(elements) {
    this.#pending = elements;
    this.#schedule();
  }

  clear() {
    this.#runs.clear();
    this.#waiting.clear();
    this.#state = { runs: [] };
    this.#pending = [];
    this.#draw();
    this.toEnd();
  }

  /** @returns {string} what a run has answered so far, as plain text */
  spokenText(runId) {
    this.#draw();
    return this.#runs.get(runId)?.spokenText ?? "";
  }

  toEnd() {
    this.#isAtEnd = true;
    this.#jump();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    for (const run of this.#state.runs) {
      if (this.#waiting.has(run.correlationId)) this.#viewOf(run.correlationId).update(run);
    }
    this.#waiting.clear();
    const views = this.#state.runs.map(({ correlationId }) => this.#viewOf(correlationId));
    this.#forgetOthers();
    arrange(this.#log, [...views.map(({ element }) => element), ...this.#pending]);
    if (this.#isAtEnd) this.#jump();
    else this.#scrolled();
  }

  #viewOf(runId) {
    if (!this.#runs.has(runId)) this.#runs.set(runId, new RunView(this.#actions));
    return this.#runs.get(runId);
  }

  #forgetOthers() {
    if (this.#runs.size === this.#state.runs.length) return;
    const present = new Set(this.#state.runs.map(({ correlationId }) => correlationId));
    for (const runId of this.#runs.keys()) if (!present.has(runId)) this.#runs.delete(runId);
  }

  #jump() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
    this.#latest.hidden = true;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const distance = scrollHeight - scrollTop - clientHeight;
    // Only a person scrolls up, and be it by a little; a longer page makes the distance grow without that.
    if (scrollTop < this.#top - 1) this.#isAtEnd = distance < 2;
    else if (distance < NEAR_END_PX) this.#isAtEnd = true;
    this.#top = scrollTop;
    this.#latest.hidden = this.#isAtEnd;
  }
}
