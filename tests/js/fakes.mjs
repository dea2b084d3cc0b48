/** What the connection tests stand on: a clock that only moves when told to, a hub, and an API with a script. */
import { ApiError } from "../../streamsink/static/client/index.js";

/** Lets every promise that can go on do so. */
export async function settle() {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
}

export class FakeClock {
  nowMs = 1_000;
  #timers = new Map();
  #next = 1;

  now = () => this.nowMs;

  setTimer = (run, ms) => {
    this.#timers.set(this.#next, { atMs: this.nowMs + ms, run });
    return this.#next++;
  };

  clearTimer = (timer) => {
    this.#timers.delete(timer);
  };

  get waiting() {
    return this.#timers.size;
  }

  /** Moves the clock, ringing what is due on the way, in order. */
  async pass(ms) {
    const endMs = this.nowMs + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, { atMs }]) => atMs <= endMs).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (!due) break;
      const [timer, { atMs, run }] = due;
      this.#timers.delete(timer);
      this.nowMs = Math.max(this.nowMs, atMs);
      run();
      await settle();
    }
    this.nowMs = endMs;
    await settle();
  }
}

/** A SignalR namespace whose one hub does what the test says; it behaves like the official client at the seams used. */
export class FakeSignalR {
  LogLevel = { Critical: 5 };
  handlers = new Map();
  starts = 0;
  stops = 0;
  connectionId = null;
  /** Errors that the next starts meet, first to last. */
  startErrors = [];
  #connections = 0;

  constructor(clock) {
    this.clock = clock;
    const fake = this;
    this.HubConnectionBuilder = class {
      withUrl(url, options) {
        Object.assign(fake, { url, options });
        return this;
      }
      withAutomaticReconnect(policy) {
        fake.policy = policy;
        return this;
      }
      configureLogging() {
        return this;
      }
      build() {
        return fake;
      }
    };
  }

  on(target, handler) {
    this.handlers.set(target.toLowerCase(), handler);
  }

  onreconnected(handler) {
    this.reconnectedHandler = handler;
  }

  onclose(handler) {
    this.closeHandler = handler;
  }

  async start() {
    this.starts += 1;
    await Promise.resolve();
    const error = this.startErrors.shift();
    if (error) throw error;
    this.connectionId = `c${(this.#connections += 1)}`;
  }

  async stop() {
    this.stops += 1;
    const wasOn = this.connectionId !== null || this.isReconnecting;
    this.isReconnecting = false;
    this.connectionId = null;
    await Promise.resolve();
    if (wasOn) this.closeHandler(undefined);
  }

  /** The server sends one event. */
  emit(target, data) {
    this.handlers.get(target.toLowerCase())?.(data);
  }

  /** The wire breaks; the official client asks its policy until it is told to give up. */
  drop(error = new Error("dropped")) {
    this.connectionId = null;
    this.isReconnecting = true;
    return this.policy.nextRetryDelayInMilliseconds({ previousRetryCount: 0, elapsedMilliseconds: 0, retryReason: error });
  }

  failAgain(error = new Error("still down")) {
    return this.policy.nextRetryDelayInMilliseconds({ previousRetryCount: 1, elapsedMilliseconds: 1, retryReason: error });
  }

  /** The official client's own reconnect works. */
  reconnect() {
    this.isReconnecting = false;
    this.connectionId = `c${(this.#connections += 1)}`;
    this.reconnectedHandler(this.connectionId);
  }

  /** The server closes and means it: no automatic reconnect. */
  close(error) {
    this.connectionId = null;
    this.closeHandler(error);
  }
}

/** A thread's history in the server, and the join-group and negotiate calls on it. */
export class FakeApi {
  joins = [];
  /** Errors or promises that the next joins meet, first to last. */
  script = [];
  negotiateError = null;
  pageSize = Infinity;
  keepsHistory = true;
  /** What a join without history says of runs that are over. */
  ended = [];
  honoursAbort = true;
  /** For each join that was answered, whether its caller had taken it back by then. */
  aborted = [];

  constructor({ threadId = "t1", epoch = "1700" } = {}) {
    Object.assign(this, { threadId, epoch, events: [] });
  }

  /** Appends an event to the history and returns it as it goes over the wire. */
  append(target, fields) {
    const data = {
      conversationId: this.threadId,
      correlationId: "r1",
      agentName: "TravelPlanner",
      attempt: 1,
      at: 1,
      ...fields,
      seq: this.events.length + 1,
      epoch: this.epoch,
    };
    this.events.push({ target, data });
    return { target, data };
  }

  async joinGroup(threadId, connectionId, after, { signal, open }) {
    this.joins.push({ threadId, connectionId, after });
    this.open = open;
    const step = this.script.shift();
    if (step instanceof Error) throw step;
    if (step) await (this.honoursAbort ? Promise.race([step, aborted(signal)]) : step);
    this.aborted.push(signal.aborted);
    if (!this.keepsHistory) return { status: "joined", group: threadId, replay: null, ended: this.ended };
    return { status: "joined", group: threadId, replay: this.replay(after) };
  }

  replay(after) {
    const [epoch, seq = "0"] = after.split(":");
    const reset = epoch !== this.epoch || Number(seq) > this.events.length;
    const from = reset ? 0 : Number(seq);
    const events = this.events.slice(from, from + this.pageSize);
    const last = from + events.length;
    return {
      cursor: last > 0 ? `${this.epoch}:${last}` : "",
      reset,
      snapshot: null,
      events,
      more: last < this.events.length,
    };
  }

  async negotiate() {
    if (this.negotiateError) throw this.negotiateError;
    return { url: "", accessToken: "" };
  }
}

function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

export function refused(status, code = "refused", retryAfterS = null) {
  return new ApiError({ status, code, message: code, retryAfterS });
}

/** A promise and its handles. */
export function gate() {
  const handles = {};
  handles.promise = new Promise((resolve, reject) => Object.assign(handles, { open: resolve, fail: reject }));
  return handles;
}
