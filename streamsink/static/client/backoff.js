/** Growing, jittered waits. Without jitter every page of a restarted node would come back in the same instant. */
export class Backoff {
  #random;
  #baseMs;
  #capMs;
  #tries = 0;

  /** @param {{random?: () => number, baseMs?: number, capMs?: number}} [options] */
  constructor({ random = Math.random, baseMs = 500, capMs = 15_000 } = {}) {
    this.#random = random;
    this.#baseMs = baseMs;
    this.#capMs = capMs;
  }

  /** How many waits were taken since the last success. */
  get tries() {
    return this.#tries;
  }

  /** @returns {number} the next wait in ms: between half and the whole of base · 2ⁿ, at most the cap */
  next() {
    const wholeMs = Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(this.#tries, 30));
    this.#tries += 1;
    return Math.round(wholeMs / 2 + (this.#random() * wholeMs) / 2);
  }

  /** Something worked: the next trouble starts with a short wait again. */
  reset() {
    this.#tries = 0;
  }
}
