import { Backoff } from "./backoff.js";

/** A connection that lived this long was a good one: its end does not count as another failure in a row. */
const STABLE_MS = 10_000;

/**
 * One SignalR connection that is kept up for ever: it owns starting, starting again and the pace of both.
 *
 * The official client's automatic reconnect covers neither the first start nor a close that the server meant, and
 * its counter starts over after each success, so a server that accepts and drops would be asked in a tight loop.
 * All three go through one backoff here.
 */
export class HubLink {
  #hub;
  #backoff;
  #handlers;
  #now;
  #setTimer;
  #clearTimer;
  #timer = null;
  #starting = false;
  #stopped = false;
  #isUp = false;
  #upSinceMs = 0;
  #failures = 0;
  #hurry = false;

  /**
   * @param {object} options
   * @param {object} options.signalR the namespace of `@microsoft/signalr`
   * @param {string} options.url absolute; `/negotiate` below it answers `{"url", "accessToken"}`, afresh for each try
   * @param {object} [options.httpOptions] passed to `withUrl`
   * @param {readonly string[]} options.targets
   * @param {{event: (target: string, data: object) => void, up: (connectionId: string) => void,
   *          down: (trouble: {error: unknown, failures: number, retryInMs: number}) => void}} options.handlers
   */
  constructor({ signalR, url, httpOptions = {}, targets, handlers, now, setTimer, clearTimer, random }) {
    this.#handlers = handlers;
    this.#now = now;
    this.#setTimer = setTimer;
    this.#clearTimer = clearTimer;
    this.#backoff = new Backoff({ random });
    this.#hub = new signalR.HubConnectionBuilder()
      .withUrl(url, httpOptions)
      .withAutomaticReconnect({ nextRetryDelayInMilliseconds: (context) => this.#fell(context.retryReason) })
      .configureLogging(signalR.LogLevel.Critical)
      .build();
    for (const target of targets) this.#hub.on(target, (data) => handlers.event(target, data));
    this.#hub.onreconnected(() => this.#rose());
    this.#hub.onclose((error) => this.#closed(error));
  }

  start() {
    void this.#start();
  }

  /** Ends it for good; idempotent. */
  stop() {
    this.#stopped = true;
    this.#isUp = false;
    this.#clearTimer(this.#timer);
    // A stop while the client is still starting rejects that start, which is seen below.
    return this.#hub.stop().catch(() => {});
  }

  /** Tries at once instead of at the end of the wait; for "the network is back" and for an impatient person. */
  retryNow() {
    if (this.#stopped || this.#isUp || this.#starting) return;
    if (this.#timer !== null) {
      this.#again(0);
    } else {
      // The official client is in a wait of its own, which only a stop can end.
      this.#hurry = true;
      void this.#hub.stop().catch(() => {});
    }
  }

  async #start() {
    this.#timer = null;
    this.#starting = true;
    try {
      await this.#hub.start();
    } catch (error) {
      this.#starting = false;
      if (!this.#stopped) this.#again(this.#fell(error));
      return;
    }
    this.#starting = false;
    this.#rose();
  }

  #rose() {
    if (this.#stopped) {
      void this.#hub.stop().catch(() => {}); // the stop came too early to be seen by this start
      return;
    }
    this.#isUp = true;
    this.#failures = 0;
    this.#upSinceMs = this.#now();
    this.#handlers.up(this.#hub.connectionId);
  }

  /** Counts one failure, tells it, and answers the wait before the next try in ms. */
  #fell(error) {
    if (this.#isUp && this.#now() - this.#upSinceMs >= STABLE_MS) this.#backoff.reset();
    this.#isUp = false;
    this.#failures += 1;
    const retryInMs = this.#backoff.next();
    this.#handlers.down({ error, failures: this.#failures, retryInMs });
    return this.#stopped ? null : retryInMs; // null tells the official client to give up
  }

  #closed(error) {
    if (this.#stopped) return;
    const retryInMs = this.#hurry ? 0 : this.#fell(error);
    this.#hurry = false;
    this.#again(retryInMs);
  }

  #again(delayMs) {
    if (this.#stopped) return;
    this.#clearTimer(this.#timer);
    this.#timer = this.#setTimer(() => void this.#start(), delayMs);
  }
}
