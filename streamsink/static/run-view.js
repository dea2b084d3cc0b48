import { arrange, el, icon, setText } from "./dom.js";
import { timeText, usageText } from "./format.js";
import { createItemView } from "./item-views.js";
import { MarkdownBody } from "./markdown.js";

const OPEN = new Set(["queued", "running", "interrupted"]);
const ACTIVITY = { text: "Writing", reasoning: "Thinking", tool: "Working" };

/** One run on the page: what the person said, and what the agent answered so far. */
export class RunView {
  #actions;
  #messages = new Map();
  #items = new Map();
  #said = el("div", { class: "said" });
  #name = el("span", { class: "agent-name" });
  #attempt = el("span", { class: "attempt" });
  #time = el("time", {});
  #body = el("div", { class: "items" });
  #waitingText = el("span", {});
  #waiting = el("p", { class: "waiting" }, el("span", { class: "dots" }, el("i"), el("i"), el("i")), this.#waitingText);
  #end = el("p", { class: "run-end" });
  #answer = el(
    "div",
    { class: "answer" },
    el("p", { class: "answer-head" }, this.#name, this.#time, this.#attempt),
    this.#body,
    this.#waiting,
    this.#end,
  );
  element = el("article", { class: "run" }, this.#said, this.#answer);

  /** @param {{approve: Function}} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /** The answer as plain text, for those who listen to the page. */
  get spokenText() {
    return [...this.#body.querySelectorAll(":scope > .markdown")].map((node) => node.innerText.trim()).join("\n");
  }

  /** @param {object} run of the conversation state */
  update(run) {
    const isOpen = OPEN.has(run.status);
    this.element.dataset.status = run.status;
    this.#updateHead(run);
    this.#updateMessages(run.messages);
    this.#updateItems(run);
    // While tokens come, the log must not read them out one by one; the end is announced in one piece.
    this.#answer.setAttribute("aria-busy", String(isOpen));
    this.#answer.setAttribute("aria-live", "off");
    this.#waiting.hidden = !isOpen;
    setText(this.#waitingText, activity(run));
    this.#updateEnd(run);
  }

  #updateHead(run) {
    this.element.setAttribute("aria-label", `Answer of ${run.agentName}`);
    setText(this.#name, run.agentName);
    setText(this.#time, timeText(run.at));
    this.#time.dateTime = new Date(run.at).toISOString();
    // Attempts can be start times where no history is kept; only small numbers mean something to a person.
    setText(this.#attempt, run.attempt > 1 && run.attempt < 100 ? `attempt ${run.attempt}` : "");
  }

  #updateMessages(messages) {
    const spoken = messages.filter(({ text }) => text);
    this.#said.hidden = spoken.length === 0;
    for (const { messageId, text } of spoken) {
      if (!this.#messages.has(messageId)) this.#messages.set(messageId, new MarkdownBody({ isMessage: true }));
      this.#messages.get(messageId).update(text);
    }
    arrange(this.#said, spoken.map(({ messageId }) => this.#bubble(messageId)));
  }

  #bubble(messageId) {
    const { element } = this.#messages.get(messageId);
    element.classList.add("bubble");
    return element;
  }

  #updateItems(run) {
    const shown = new Map();
    for (const item of visibleItems(run.items)) {
      const key = `${run.attempt} ${item.kind} ${identity(item, run.items)}`;
      const view = this.#items.get(key) ?? createItemView(item.kind, this.#actions);
      view.update(item, run);
      shown.set(key, view);
    }
    this.#items = shown;
    arrange(this.#body, [...shown.values()].map(({ element }) => element));
  }

  #updateEnd(run) {
    const { kind, text, symbol } = ending(run);
    this.#end.hidden = !text;
    if (this.#end.dataset.text === text) return;
    this.#end.dataset.text = text;
    this.#end.dataset.kind = kind;
    this.#end.replaceChildren(...(symbol ? [icon(symbol)] : []), text);
  }
}

/** What tells an item of a run from the others: its id, or its place. */
function identity(item, items) {
  if (item.kind === "tool") return item.callId;
  return item.approvalId ?? item.messageId ?? startOfSeries(items.indexOf(item), items);
}

function startOfSeries(index, items) {
  while (index > 0 && isSameSeries(items[index - 1], items[index])) index -= 1;
  return index;
}

function isSameSeries(item, next) {
  return item.kind === "custom" && next?.kind === "custom" && next.name === item.name;
}

/** A series of progress events is one line that changes, not a growing column. */
function visibleItems(items) {
  return items.filter((item, index) => {
    return !isSameSeries(item, items[index + 1]) && !(item.kind === "text" && item.text === "");
  });
}

function activity({ status, items }) {
  if (status === "queued") return "Waiting for its turn";
  if (status === "interrupted") return "The answer was interrupted and is being started again";
  return ACTIVITY[items.at(-1)?.kind] ?? "Working";
}

function ending(run) {
  if (run.status === "failed") {
    const { message, code } = run.error ?? {};
    return { kind: "failed", symbol: "cross", text: `${message || "The answer failed."}${code ? ` (${code})` : ""}` };
  }
  if (run.status === "cancelled") return { kind: "cancelled", symbol: "stop", text: "Stopped" };
  if (run.status === "completed") return { kind: "completed", symbol: null, text: usageText(run.usage) };
  return { kind: "open", symbol: null, text: "" };
}
