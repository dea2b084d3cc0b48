const DONE = new Set(["completed", "failed", "cancelled"]);
/** Longer answers are begun aloud and then left to be read. */
const SPOKEN_CHARACTERS = 1_500;

/** Says what happens, for those who cannot see it: in sentences at the turns of a run, never token by token. */
export class Narrator {
  #region;
  #spokenText;
  #told = new Map();
  #connection = "connecting";

  /**
   * @param {Element} region a live region
   * @param {(runId: string) => string} spokenText the answer of a run as plain text
   */
  constructor(region, spokenText) {
    this.#region = region;
    this.#spokenText = spokenText;
  }

  /** Forgets the conversation; the next one is new. */
  clear() {
    this.#told.clear();
  }

  say(text) {
    this.#region.textContent = text;
  }

  /** @param {{runs: object[]}} state @param {ReadonlySet<string>} changed */
  tell(state, changed) {
    for (const run of state.runs) if (changed.has(run.correlationId)) this.#tellRun(run);
  }

  connection({ connection }) {
    const wasTrouble = this.#connection === "offline" || this.#connection === "reconnecting";
    if (connection === "offline") this.say("No connection to the server.");
    if (connection === "live" && wasTrouble) this.say("Connected again.");
    this.#connection = connection;
  }

  #tellRun(run) {
    const asked = run.items.filter(({ kind, approved }) => kind === "approval" && approved === null);
    const now = `${run.status} ${asked.length}`;
    const before = this.#told.get(run.correlationId);
    this.#told.set(run.correlationId, now);
    // What was over before this page opened has been read, or can be.
    if (now === before || (before === undefined && DONE.has(run.status))) return;
    const sentence = this.#sentence(run, asked);
    if (sentence) this.say(sentence);
  }

  #sentence(run, asked) {
    if (asked.length > 0) return `${run.agentName} asks for permission: ${asked.map(({ name }) => name).join(", ")}.`;
    if (run.status === "running") return `${run.agentName} is answering.`;
    if (run.status === "failed") return `The answer failed. ${run.error?.message ?? ""}`;
    if (run.status === "cancelled") return "The answer was stopped.";
    if (run.status === "interrupted") return "The answer was interrupted and is being started again.";
    if (run.status !== "completed") return "";
    return `${run.agentName}: ${this.#spokenText(run.correlationId).slice(0, SPOKEN_CHARACTERS)}`;
  }
}
