/** Lets those who wait go on when it is released, or when they have waited for long enough. */
export class Latch {
  #setTimer;
  #clearTimer;
  #waiting = new Set();

  constructor({ setTimer, clearTimer }) {
    this.#setTimer = setTimer;
    this.#clearTimer = clearTimer;
  }

  /** @param {number} ms at most @returns {Promise<void>} */
  wait(ms) {
    return new Promise((resolve) => {
      const go = () => {
        this.#clearTimer(timer);
        this.#waiting.delete(go);
        resolve();
      };
      const timer = this.#setTimer(go, ms);
      this.#waiting.add(go);
    });
  }

  release() {
    this.#waiting.forEach((go) => go());
  }
}
