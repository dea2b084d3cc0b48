/** One timer for "look again at this time". It is never set later, only earlier: whoever it wakes looks for itself. */
export class Alarm {
  #ring;
  #now;
  #setTimer;
  #clearTimer;
  #timer = null;
  #atMs = Infinity;

  constructor({ ring, now, setTimer, clearTimer }) {
    this.#ring = ring;
    this.#now = now;
    this.#setTimer = setTimer;
    this.#clearTimer = clearTimer;
  }

  /** @param {number} atMs on the clock of `now`; Infinity is never */
  at(atMs) {
    // An event a token apart would otherwise cancel and set a timer each.
    if (atMs >= this.#atMs) return;
    this.clear();
    this.#atMs = atMs;
    this.#timer = this.#setTimer(() => this.#rung(), Math.max(0, atMs - this.#now()));
  }

  clear() {
    if (this.#timer !== null) this.#clearTimer(this.#timer);
    this.#timer = null;
    this.#atMs = Infinity;
  }

  #rung() {
    this.#timer = null;
    this.#atMs = Infinity;
    this.#ring();
  }
}
