// The fold: a thread's events, in order, become what a person sees (docs/protocol.md, "Conversation state").
// The twin of streamsink/core/conversation.py; both fold the vectors under tests/vectors.

import { Items, numberOf, textOf } from "./items.js";

const VERSION = 1;
const OPEN = new Set(["queued", "running", "interrupted"]);

/**
 * @typedef {object} RunState
 * @property {string} correlationId
 * @property {string} agentName
 * @property {number} attempt
 * @property {"queued"|"running"|"interrupted"|"completed"|"failed"|"cancelled"} status
 * @property {{messageId: string, text: string, at: number}[]} messages what people said
 * @property {import("./items.js").Item[]} items what the agent did, in order
 * @property {{code: string, message: string}|null} error
 * @property {object|null} usage
 * @property {number} at ms since 1970
 */

/** @typedef {{version: 1, cursor: string, runs: RunState[]}} State */

/** A snapshot of a version not known here, or parts of different snapshots. Nothing was changed. */
export class SnapshotError extends Error {
  name = "SnapshotError";
}

/** A thread as its events tell it. Events are given in the order of the timeline, each once (sequencer.js). */
export class Conversation {
  /** @type {Map<string, Run>} */
  #runs = new Map();

  constructor() {
    /** The live state, to be read only: its objects change as events are folded. @type {State} */
    this.state = { version: VERSION, cursor: "", runs: [] };
  }

  /** The conversation of a whole snapshot. @param {Iterable<State>} parts @returns {Conversation}
   * @throws {SnapshotError} as `load` */
  static fromParts(parts) {
    const conversation = new Conversation();
    for (const part of parts) conversation.load(part);
    return conversation;
  }

  /** The place of the last event; "" before the first. */
  get cursor() {
    return this.state.cursor;
  }

  /** Some run has no terminal yet. */
  get runOpen() {
    return this.state.runs.some((run) => OPEN.has(run.status));
  }

  /** The correlation ids of the runs that have no terminal yet, in order. */
  get openRunIds() {
    return this.state.runs.filter((run) => OPEN.has(run.status)).map(({ correlationId }) => correlationId);
  }

  /** Add one part of a snapshot, before any event. A part given twice counts once.
   * @param {State} part
   * @throws {SnapshotError} its version is not known here, or it is of another snapshot than what was loaded */
  load(part) {
    if (part.version !== VERSION) {
      throw new SnapshotError(`the snapshot's version should be ${VERSION}, not ${part.version}`);
    }
    if (this.cursor !== "" && this.cursor !== part.cursor) {
      throw new SnapshotError("all parts should be of one snapshot; ask for it again from its first part");
    }
    this.state.cursor = part.cursor;
    for (const run of part.runs) this.#put(run);
  }

  /** Fold the event that is next in order.
   * @param {string} target @param {object} data
   * @returns {string[]} the correlation ids of the runs that changed */
  apply(target, data) {
    this.state.cursor = `${data.epoch}:${data.seq}`;
    const correlationId = textOf(data, "correlationId");
    const run = this.#runs.get(correlationId) ?? this.#put(firstSight(data));
    if (target !== "userMessage") return run.fold(target, data, (result) => this.#settle(result));
    run.hear(data);
    const { approval } = data;
    const answered = isObject(approval) ? this.#answer(approval) : [];
    return [...new Set([correlationId, ...answered])];
  }

  #answer(approval) {
    const id = textOf(approval, "approvalId");
    const runs = [...this.#runs].filter(([, run]) => run.items.answer(id, approval.approved ?? null));
    return runs.map(([correlationId]) => correlationId);
  }

  /** Rule 5: a call may have waited, in an earlier run, for a person's leave. */
  #settle(result) {
    const found = [...this.#runs].find(([, run]) => run.items.settle(result));
    return found ? [found[0]] : [];
  }

  #put(state) {
    const run = new Run(state);
    const known = this.#runs.get(state.correlationId);
    if (known) this.state.runs[this.state.runs.indexOf(known.state)] = run.state;
    else this.state.runs.push(run.state);
    this.#runs.set(state.correlationId, run);
    return run;
  }
}

class Run {
  constructor(state) {
    this.items = new Items(state.items);
    this.state = { ...state, messages: [...state.messages], items: this.items.list };
  }

  /** Rule 1: a person's message, once. */
  hear(data) {
    const messageId = textOf(data, "messageId");
    const { messages } = this.state;
    if (messages.some((message) => message.messageId === messageId)) return;
    messages.push({ messageId, text: textOf(data, "text"), at: numberOf(data, "at") ?? 0 });
  }

  /** Rules 2 to 8; answers the runs that changed. `settle` gives a result to a call that waits in another run. */
  fold(target, data, settle) {
    const attempt = numberOf(data, "attempt") ?? 0;
    if (!OPEN.has(this.state.status) || attempt < this.state.attempt) return [];
    if (target === "agentStarted" || attempt > this.state.attempt) this.#restart(attempt);
    const settled = this.#isForeign(target, data) ? settle(data) : [];
    if (target === "agentDone") this.#finish(data);
    else if (target === "agentInterrupted") this.state.status = "interrupted";
    else if (target !== "agentStarted" && settled.length === 0) this.items.fold(target, data);
    return [this.state.correlationId, ...settled];
  }

  #isForeign(target, data) {
    return target === "agentToolResult" && !this.items.knowsCall(textOf(data, "callId"));
  }

  #restart(attempt) {
    this.items = new Items();
    Object.assign(this.state, { attempt, status: "running", items: this.items.list });
  }

  #finish(data) {
    const { error = null, usage = null } = data;
    this.items.finish(typeof data.text === "string" ? textOf(data, "text") : null);
    Object.assign(this.state, { status: textOf(data, "status"), error, usage, items: this.items.list });
  }
}

function firstSight(data) {
  const names = { correlationId: textOf(data, "correlationId"), agentName: textOf(data, "agentName") };
  const blank = { attempt: 0, status: "queued", messages: [], items: [] };
  return { ...names, ...blank, error: null, usage: null, at: numberOf(data, "at") ?? 0 };
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
