import { Alarm } from "./alarm.js";
import { SnapshotError } from "./conversation.js";
import { HubLink } from "./hub-link.js";
import { Latch } from "./latch.js";
import { endedOf, outdated, replayOf } from "./replay.js";
import { Sequencer } from "./sequencer.js";
import { TARGETS } from "./targets.js";
import { Transcript } from "./transcript.js";

/**
 * @typedef {object} Status
 * @property {"connecting" | "live" | "reconnecting" | "offline" | "closed"} connection "offline": several tries have
 *   failed, and more follow; "closed": it was closed, or the server refuses this thread (then `error` says why)
 * @property {import("./api.js").ApiError | null} error why it is not live, when that is known
 * @property {boolean} loaded whether the history has been read once
 * @property {"unknown" | "kept" | "none" | "lost"} history "lost": something that was shown, or that went by while
 *   there was no connection, cannot be had any more
 */

/** Answers that trying again cannot change … */
const FINAL = new Set([401, 403, 404, 410]);
/** … except this 404: the connection has ended, and its successor will be joined. */
const NO_SUCH_CONNECTION = "no_such_connection";
/** How many runs a join may ask about. */
const MAX_OPEN = 50;
/** How long a request waits to be heard; a person may ask something while no connection can be had. */
const UNHEARD_MS = 5_000;

/**
 * One thread, live: connects, joins, puts in order, repairs, folds. Every character once, in order, or `status` says so.
 *
 * It knows no DOM. Clock, timers and randomness are arguments; `onchange` and `onstatus` are plain callbacks.
 */
export class ThreadConnection {
  /** @type {(runIds: Set<string>) => void} called after `state` has changed */
  onchange = () => {};
  /** @type {(status: Status) => void} */
  onstatus = () => {};

  #threadId;
  #api;
  #link;
  #sequencer;
  #transcript = new Transcript();
  #status = Object.freeze({ connection: "connecting", error: null, loaded: false, history: "unknown" });
  #connectionId = null;
  #wasLive = false;
  /** The connection went while a run was speaking; only a history can tell what it said meanwhile. */
  #wasCutOff = false;
  #isWithoutHistory = false;
  #isJoining = false;
  #joinFailures = 0;
  #notBeforeMs = -Infinity;
  #abort = new AbortController();
  #unheard;
  #alarm;
  #now;
  #random;

  /**
   * @param {object} options
   * @param {string} options.threadId
   * @param {object} options.signalR the namespace of the unmodified `@microsoft/signalr`
   * @param {import("./api.js").AgentApi} options.api
   * @param {string} options.baseUrl absolute; where `/api` is
   * @param {object} [options.httpOptions] for `withUrl`: headers, accessTokenFactory, transport
   * @param {readonly string[]} [options.targets]
   * @param {() => number} [options.now] ms of a clock that does not go backwards
   */
  constructor({
    threadId,
    signalR,
    api,
    baseUrl,
    httpOptions,
    targets = TARGETS,
    sequencer = new Sequencer(),
    now = () => performance.now(),
    setTimer = (run, ms) => setTimeout(run, ms),
    clearTimer = (timer) => clearTimeout(timer),
    random = Math.random,
  }) {
    [this.#threadId, this.#api, this.#sequencer, this.#now, this.#random] = [threadId, api, sequencer, now, random];
    this.#unheard = new Latch({ setTimer, clearTimer });
    this.#alarm = new Alarm({ ring: () => void this.#joinIfDue(), now, setTimer, clearTimer });
    const handlers = {
      event: (target, data) => this.#receive(target, data),
      up: (connectionId) => this.#up(connectionId),
      down: (trouble) => this.#down(trouble),
    };
    const url = `${baseUrl.replace(/\/+$/, "")}/api/agent`;
    this.#link = new HubLink({ signalR, url, httpOptions, targets, handlers, now, setTimer, clearTimer, random });
  }

  get threadId() {
    return this.#threadId;
  }

  /** @returns {import("./conversation.js").State} live: its objects change; read only */
  get state() {
    return this.#transcript.state;
  }

  /** @returns {Status} */
  get status() {
    return this.#status;
  }

  /** Whether some run is expected to say more. */
  get isRunOpen() {
    return this.#transcript.isRunOpen;
  }

  open() {
    this.#link.start();
  }

  /** Ends it; nothing is called back afterwards. Idempotent. */
  close() {
    this.onchange = this.onstatus = () => {};
    return this.#end(null);
  }

  /** Ends the wait before the next try, if there is one. */
  retryNow() {
    this.#link.retryNow();
    if (this.#joinFailures > 0) void this.#joinNow();
  }

  /** @returns {Promise<{correlationId: string}>} when it is accepted; the same `key` twice is one run */
  async run(agent, text, { key } = {}) {
    await this.#heard();
    return this.#api.run({ agent, threadId: this.#threadId, text, key });
  }

  /** Stops one run, or without an id all of that agent. */
  cancel(agent, correlationId) {
    return this.#api.cancel({ agent, threadId: this.#threadId, correlationId });
  }

  async approve(agent, approvalId, approved, { key } = {}) {
    await this.#heard();
    return this.#api.approve({ agent, threadId: this.#threadId, approvalId, approved, key });
  }

  /** Without a history, what a run says before this connection has joined is never shown. */
  async #heard() {
    if (!this.#isHeard) await this.#unheard.wait(UNHEARD_MS);
  }

  get #isHeard() {
    const { connection, loaded } = this.#status;
    return connection === "live" || connection === "closed" || (loaded && !this.#isWithoutHistory);
  }

  // The connection -------------------------------------------------------------------------------------------------

  #up(connectionId) {
    this.#connectionId = connectionId;
    void this.#joinNow();
  }

  #down({ error, failures }) {
    this.#connectionId = null;
    this.#wasCutOff ||= this.#wasLive && this.isRunOpen;
    this.#abort.abort();
    this.#setStatus({ connection: this.#trouble(failures) });
    if (/Status code '40[13]'/.test(String(error))) void this.#askWhyRefused();
  }

  /** The SignalR client tells a refused negotiate only in words, and not whose it was: the app's own answer decides. */
  async #askWhyRefused() {
    try {
      await this.#api.negotiate();
    } catch (error) {
      if (error.status === 401 || error.status === 403) void this.#end(error);
    }
  }

  /** One failure is a blink; several are worth a word. */
  #trouble(failures) {
    if (this.#wasLive) return failures < 3 ? "reconnecting" : "offline";
    return failures < 2 ? "connecting" : "offline";
  }

  // Joining --------------------------------------------------------------------------------------------------------

  /** Joins whatever the sequencer thinks of it: the group does not know this connection yet, or a person insists. */
  async #joinNow() {
    this.#notBeforeMs = -Infinity;
    if (this.#isJoining) return; // the one at work sees that its connection has been replaced
    this.#isJoining = true;
    for (let joined; this.#connectionId && joined !== this.#connectionId; ) {
      joined = this.#connectionId;
      await this.#joinOnce(joined);
    }
    this.#isJoining = false;
    await this.#joinIfDue();
  }

  /** Follows the sequencer: pages, holes, silence, unknown epochs and failed joins are all one question, "when?". */
  async #joinIfDue() {
    if (this.#isJoining || !this.#connectionId) return;
    if (this.#dueMs() <= this.#now()) await this.#joinNow();
    else this.#alarm.at(this.#dueMs());
  }

  #dueMs() {
    return Math.max(this.#sequencer.due(this.#now(), this.#transcript.isRunOpen), this.#notBeforeMs);
  }

  async #joinOnce(connectionId) {
    const { signal } = (this.#abort = new AbortController());
    this.#sequencer.joinPending(this.#now());
    try {
      const options = { signal, open: this.#isWithoutHistory ? this.#transcript.openRunIds.slice(-MAX_OPEN) : [] };
      const reply = await this.#api.joinGroup(this.#threadId, connectionId, this.#sequencer.cursor, options);
      // An answer for a connection that has ended says nothing about its successor, which must be joined anyway.
      if (connectionId === this.#connectionId) this.#joined(replayOf(reply), endedOf(reply));
    } catch (error) {
      if (connectionId === this.#connectionId) this.#joinFailed(error);
    }
  }

  #joined(replay, ended) {
    const page = this.#sequencer.answer(replay, this.#now());
    const { changed, lost } = this.#transcript.replay(page);
    this.#isWithoutHistory = replay === null;
    // After what came over the connection: the end of a run closes it.
    if (this.#isWithoutHistory) this.#transcript.apply(ended).forEach((runId) => changed.add(runId));
    this.#joinFailures = 0;
    if (!page.more) this.#caughtUp(lost.length > 0 || (this.#isWithoutHistory && this.#wasCutOff));
    if (changed.size > 0) tell(this.onchange, changed);
  }

  #caughtUp(isLost) {
    const history = isLost || this.#status.history === "lost" ? "lost" : this.#isWithoutHistory ? "none" : "kept";
    this.#wasLive = true;
    this.#wasCutOff = false;
    this.#setStatus({ connection: "live", error: null, loaded: true, history });
  }

  #joinFailed(error) {
    if (error instanceof SnapshotError) error = outdated(error);
    if (FINAL.has(error.status) && error.code !== NO_SUCH_CONNECTION) {
      void this.#end(error);
      return;
    }
    this.#joinFailures += 1;
    this.#sequencer.joinFailed(this.#now());
    // The sequencer's delays are exact; pages that fail together must not come back together.
    const waitMs = (this.#dueMs() - this.#now()) * (1 + this.#random() / 2);
    this.#notBeforeMs = this.#now() + Math.max(waitMs, (error.retryAfterS ?? 0) * 1000);
    this.#setStatus({ connection: this.#trouble(this.#joinFailures), error });
  }

  // Events ---------------------------------------------------------------------------------------------------------

  #receive(target, data) {
    // On Azure a connection can be put into a group from elsewhere; only the thread that was asked for is shown.
    const isOurs = data?.conversationId === this.#threadId && typeof data.epoch === "string" && data.seq >= 1;
    if (!isOurs || this.#status.connection === "closed") return;
    const changed = this.#transcript.apply(this.#sequencer.receive({ target, data }, this.#now()));
    void this.#joinIfDue();
    if (changed.size > 0) tell(this.onchange, changed);
  }

  #setStatus(patch) {
    const before = this.#status;
    if (before.connection === "closed" || Object.keys(patch).every((key) => before[key] === patch[key])) return;
    this.#status = Object.freeze({ ...before, ...patch });
    if (this.#isHeard) this.#unheard.release();
    tell(this.onstatus, this.#status);
  }

  #end(error) {
    this.#connectionId = null;
    this.#abort.abort();
    this.#alarm.clear();
    this.#setStatus({ connection: "closed", error });
    return this.#link.stop();
  }
}

/** A callback's mistake is reported as its own: it must not look like a failed join, nor stop the next event. */
function tell(callback, value) {
  try {
    callback(value);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}
