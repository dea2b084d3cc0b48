import { Backoff } from "./client/index.js";

/** Asks for a new thread until there is one: the page may be opened before the network, or the server, is there. */
export class ThreadMaker {
  #api;
  #ontrouble;
  #cancelled = { isCancelled: true };
  #hurry = () => {};

  /**
   * @param {import("./client/api.js").AgentApi} api
   * @param {(error: import("./client/api.js").ApiError) => void} ontrouble
   */
  constructor(api, ontrouble) {
    this.#api = api;
    this.#ontrouble = ontrouble;
  }

  /** @returns {Promise<string>} its id; pending for ever when cancelled or refused for good */
  async make() {
    const turn = (this.#cancelled = { isCancelled: false });
    const backoff = new Backoff();
    for (;;) {
      try {
        const threadId = await this.#api.createThread();
        return turn.isCancelled ? await never() : threadId;
      } catch (error) {
        if (turn.isCancelled) return never();
        this.#ontrouble(error);
        await (error.isPassing ? this.#wait(backoff.next(), error) : this.#asked());
        if (turn.isCancelled) return never();
      }
    }
  }

  cancel() {
    this.#cancelled.isCancelled = true;
    this.retryNow();
  }

  retryNow() {
    this.#hurry();
  }

  #wait(ms, { retryAfterS }) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(ms, (retryAfterS ?? 0) * 1000));
      this.#hurry = () => (clearTimeout(timer), resolve());
    });
  }

  #asked() {
    return new Promise((resolve) => (this.#hurry = resolve));
  }
}

function never() {
  return new Promise(() => {});
}
