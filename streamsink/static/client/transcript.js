import { Conversation } from "./conversation.js";

/**
 * The conversation as it is shown, fed with live events and with replays.
 *
 * A replay that starts over is folded aside and takes the place of what is shown when its last page has come, so
 * that nothing on the screen vanishes and comes back.
 */
export class Transcript {
  #shown = new Conversation();
  /** @type {Conversation | null} */
  #aside = null;

  /** @returns {import("./conversation.js").State} read only */
  get state() {
    return this.#shown.state;
  }

  /** Whether some run is expected to say more. */
  get isRunOpen() {
    return (this.#aside ?? this.#shown).runOpen;
  }

  /** The runs that are expected to say more. @returns {string[]} */
  get openRunIds() {
    return (this.#aside ?? this.#shown).openRunIds;
  }

  /**
   * @param {Iterable<import("./sequencer.js").Invocation>} events in order
   * @returns {Set<string>} the runs that changed on the screen
   */
  apply(events) {
    const conversation = this.#aside ?? this.#shown;
    const changed = new Set();
    for (const { target, data } of events) {
      for (const runId of conversation.apply(target, data)) changed.add(runId);
    }
    return this.#aside ? new Set() : changed;
  }

  /**
   * Takes one page of a replay.
   *
   * @param {import("./sequencer.js").Answer} page
   * @returns {{changed: Set<string>, lost: string[]}} `lost`: runs that were shown and are in the history no more
   * @throws {import("./conversation.js").SnapshotError}
   */
  replay({ reset, snapshot, events, more }) {
    if (reset) this.#aside = new Conversation();
    if (snapshot) (this.#aside ??= new Conversation()).load(snapshot);
    const changed = this.apply(events);
    return this.#aside && !more ? this.#swap() : { changed, lost: [] };
  }

  #swap() {
    const before = runIds(this.state);
    this.#shown = this.#aside;
    this.#aside = null;
    const now = new Set(runIds(this.state));
    return { changed: new Set([...before, ...now]), lost: before.filter((runId) => !now.has(runId)) };
  }
}

function runIds(state) {
  return state.runs.map(({ correlationId }) => correlationId);
}
