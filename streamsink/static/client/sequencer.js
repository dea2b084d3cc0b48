// Between the wire and the fold: events leave in order, each once (docs/protocol.md, "Ordering").
// The twin of streamsink/core/sequencer.py; both pass the vectors under tests/vectors.
// Times are milliseconds of any one clock that does not go backwards: performance.now() is one.

/** 2^16 times the first delay is past every bound; larger powers need not be formed. */
const DOUBLINGS = 16;

/** @typedef {{target: string, data: object}} Invocation an event as it reaches a client */

/**
 * @typedef {object} Replay docs/protocol.md, "Replay"
 * @property {string} cursor
 * @property {boolean} reset
 * @property {object|null} snapshot
 * @property {Invocation[]} events
 * @property {boolean} more
 */

/**
 * What a join brings: forget the conversation (`reset`), load `snapshot`, fold `events`.
 * @typedef {object} Answer
 * @property {boolean} reset begin with an empty conversation
 * @property {object|null} snapshot one part of a snapshot, to be loaded
 * @property {Invocation[]} events to be folded afterwards, in order
 * @property {boolean} more the next join should be made at once; `due` says so too
 */

/** Puts the events of one thread in order and says when to join again. A new one wants to join at once. */
export class Sequencer {
  #maxBuffered;
  #holeMs;
  #silenceMs;
  /** The last seq passed on, by epoch: one epoch with history, any number without. @type {Map<string, number>} */
  #heads = new Map();
  /** By cursor, in order of arrival.
   * @type {Map<string, {epoch: string, seq: number, arrival: number, event: Invocation}>} */
  #waiting = new Map();
  #history = true;
  #synced = false;
  #pending = false;
  /** @type {string|null} */
  #page = null;
  /** A join that is due whatever waits, and that puts off every other. @type {number|null} */
  #joinAt = -Infinity;
  #heardAt = -Infinity;
  #answeredAt = -Infinity;
  #failures = 0;
  #fruitless = 0;

  /**
   * @param {object} [options]
   * @param {number} [options.maxBuffered] how many events may wait; past that all are dropped and joined again
   * @param {number} [options.holeMs] how long a hole may be open
   * @param {number} [options.silenceMs] how long an open run may be silent; also the longest delay between two tries
   */
  constructor({ maxBuffered = 10_000, holeMs = 250, silenceMs = 20_000 } = {}) {
    this.#maxBuffered = maxBuffered;
    this.#holeMs = holeMs;
    this.#silenceMs = silenceMs;
  }

  /** What to join with as `after`. @returns {string} */
  get cursor() {
    if (this.#page !== null) return this.#page;
    if (!this.#history) return "";
    return [...this.#heads].map(([epoch, seq]) => `${epoch}:${seq}`).join("");
  }

  /** Take an event off the wire; returns the events that are now to be folded.
   * @param {Invocation} event @param {number} nowMs @returns {Invocation[]} */
  receive(event, nowMs) {
    this.#heardAt = nowMs;
    const { epoch, seq } = event.data;
    if (this.#isBehind(epoch, seq)) return [];
    this.#keep({ epoch, seq, arrival: nowMs, event });
    if (this.#waiting.size > this.#maxBuffered) {
      this.#waiting.clear();
      this.#joinAt = nowMs;
    }
    if (this.#holdsBack()) return [];
    this.#adopt();
    if (this.#joinAt === null && this.#fruitless === 0 && this.#isForeign(epoch)) this.#joinAt = nowMs;
    return this.#ready([epoch], nowMs);
  }

  /** When to join: never before `nowMs`, which means at once; Infinity: nothing calls for it.
   * @param {number} nowMs
   * @param {boolean} runOpen a run of the conversation has no terminal yet
   * @returns {number} */
  due(nowMs, runOpen) {
    if (this.#pending) return Infinity;
    const times = this.#joinAt === null ? this.#reasons(runOpen) : [this.#joinAt];
    return Math.max(nowMs, Math.min(...times));
  }

  /** A join with `after` = `cursor` has been sent; `answer` or `joinFailed` follows. When it was sent again, on a
   * new connection for example, answers to the earlier one are to be ignored.
   * @param {number} nowMs */
  joinPending(nowMs) {
    this.#heardAt = nowMs;
    this.#pending = true;
    this.#joinAt = null;
  }

  /** The join came to nothing and is due again later. What arrived meanwhile leaves with the next event.
   * @param {number} nowMs */
  joinFailed(nowMs) {
    this.#pending = false;
    this.#joinAt = nowMs + this.#delay(this.#failures);
    this.#failures += 1;
  }

  /** Merge the join's answer with what arrived meanwhile.
   * @param {Replay|null} replay null: this deployment keeps no history
   * @param {number} nowMs @returns {Answer} */
  answer(replay, nowMs) {
    this.#pending = false;
    this.#failures = 0;
    this.#heardAt = this.#answeredAt = nowMs;
    if (replay === null) {
      [this.#history, this.#synced, this.#page] = [false, true, null];
      return { reset: false, snapshot: null, events: this.#release(nowMs), more: false };
    }
    const { reset, snapshot, more } = replay;
    const events = this.#replay(replay);
    if (more) {
      this.#joinAt = nowMs;
    } else {
      events.push(...this.#release(nowMs));
      this.#fruitless = this.#waiting.size > 0 ? this.#fruitless + 1 : 0;
    }
    return { reset, snapshot, events, more };
  }

  #replay({ cursor, reset, events, more }) {
    if (reset || !this.#history) this.#heads.clear();
    [this.#history, this.#synced, this.#page] = [true, !more, more ? cursor : null];
    const fresh = events.filter(({ data }) => !this.#isBehind(data.epoch, data.seq));
    const [place] = cursor.split("~");
    const colon = place.lastIndexOf(":");
    const [epoch, seq] = [place.slice(0, Math.max(colon, 0)), Number(place.slice(colon + 1))];
    if (epoch !== "" && !this.#isBehind(epoch, seq)) this.#heads = new Map([[epoch, seq]]);
    return fresh;
  }

  /** Everything that waits and is ready. */
  #release(nowMs) {
    for (const [key, { epoch, seq }] of this.#waiting) {
      if (this.#isBehind(epoch, seq)) this.#waiting.delete(key);
    }
    this.#adopt();
    return this.#ready(new Set([...this.#waiting.values()].map(({ epoch }) => epoch)), nowMs);
  }

  #ready(epochs, nowMs) {
    const ready = [];
    for (const epoch of epochs) {
      this.#drain(epoch, ready);
      while (this.#givesUpHole(epoch, nowMs)) this.#drain(epoch, ready);
    }
    if (this.#waiting.size === 0) this.#fruitless = 0;
    return ready;
  }

  /** Move what waits without a hole before it. */
  #drain(epoch, ready) {
    if (!this.#heads.has(epoch)) return;
    let key = `${epoch}:${this.#heads.get(epoch) + 1}`;
    while (this.#waiting.has(key)) {
      const { event, seq } = this.#waiting.get(key);
      this.#waiting.delete(key);
      this.#heads.set(epoch, seq);
      ready.push(event);
      key = `${epoch}:${seq + 1}`;
    }
  }

  #keep(entry) {
    const key = `${entry.epoch}:${entry.seq}`;
    if (!this.#waiting.has(key)) this.#waiting.set(key, entry);
  }

  /** A thread that was empty takes the epoch of its first event, the oldest if there are several. */
  #adopt() {
    if (!this.#history || this.#heads.size > 0) return;
    const firsts = [...this.#waiting.values()].filter(({ epoch, seq }) => seq === 1 && isDecimal(epoch));
    const [first] = firsts.map(({ epoch }) => epoch).sort((a, b) => rank(a) - rank(b));
    if (first !== undefined) this.#heads.set(first, 0);
  }

  /** Without history an epoch begins at the first event seen, and a hole open for too long is left behind. */
  #givesUpHole(epoch, nowMs) {
    if (this.#history) return false;
    const waiting = [...this.#waiting.values()].filter((entry) => entry.epoch === epoch);
    const isOver = waiting.some(({ arrival }) => nowMs - arrival >= this.#holeMs);
    if (waiting.length === 0 || (this.#heads.has(epoch) && !isOver)) return false;
    this.#heads.set(epoch, Math.min(...waiting.map(({ seq }) => seq)) - 1);
    return true;
  }

  /** When a hole or silence calls for a join. */
  #reasons(runOpen) {
    const reasons = runOpen ? [this.#heardAt + this.#silenceMs] : [];
    const [oldest] = this.#waiting.values();
    if (oldest !== undefined) {
      reasons.push(Math.max(oldest.arrival, this.#answeredAt) + this.#delay(this.#fruitless));
    }
    return reasons;
  }

  #holdsBack() {
    return !this.#synced || (this.#pending && this.#history);
  }

  #isForeign(epoch) {
    return this.#history && this.#heads.size > 0 && !this.#heads.has(epoch);
  }

  #isBehind(epoch, seq) {
    if (!this.#isForeign(epoch)) return seq <= (this.#heads.get(epoch) ?? 0);
    const [current] = this.#heads.keys();
    return rank(epoch) < rank(current);
  }

  /** How long to wait after so many tries in vain. */
  #delay(tries) {
    return Math.min(this.#holeMs * 2 ** Math.min(tries, DOUBLINGS), this.#silenceMs);
  }
}

function isDecimal(epoch) {
  return /^\d+$/.test(epoch);
}

/** An epoch that is no number comes from a deployment without history; the next answer tells. */
function rank(epoch) {
  return isDecimal(epoch) ? Number(epoch) : Infinity;
}
