import { el, icon, setText } from "./dom.js";
import { parsed, pretty } from "./format.js";

/** A question that only a person may answer: what is to be done, with what, and two buttons. */
export class ApprovalView {
  #approve;
  #item = null;
  #run = null;
  #sent = null;
  #title = el("p", { class: "approval-title" });
  #facts = el("dl", { class: "facts" });
  #error = el("p", { class: "approval-error", role: "alert", hidden: true });
  #answer = el("p", { class: "approval-answer", hidden: true });
  #yes = el("button", { type: "button", class: "primary", text: "Approve", onclick: () => this.#send(true) });
  #no = el("button", { type: "button", class: "plain", text: "Deny", onclick: () => this.#send(false) });
  #buttons = el("div", { class: "approval-buttons" }, this.#yes, this.#no);
  element = el(
    "div",
    { class: "approval", role: "group", tabindex: "-1" },
    icon("hand"),
    el("div", { class: "approval-body" }, this.#title, this.#facts, this.#buttons, this.#error, this.#answer),
  );

  /** @param {{approve: (run: object, item: object, approved: boolean) => Promise<unknown>}} actions */
  constructor({ approve }) {
    this.#approve = approve;
  }

  update(item, run) {
    if (!this.#item) this.#facts.append(...facts(item.arguments));
    [this.#item, this.#run] = [item, run];
    setText(this.#title, `${run.agentName} asks for permission: ${item.name}`);
    this.element.setAttribute("aria-label", `Permission for ${item.name}`);
    this.#show();
  }

  #show() {
    const answered = this.#item.approved ?? null;
    const isSettled = answered !== null;
    this.#buttons.hidden = isSettled;
    this.#yes.disabled = this.#no.disabled = this.#sent !== null;
    this.element.dataset.state = isSettled ? (answered ? "approved" : "denied") : "open";
    this.#answer.hidden = !isSettled && this.#sent === null;
    setText(this.#answer, isSettled ? (answered ? "Approved" : "Denied") : "Sending your answer …");
  }

  async #send(approved) {
    const hadFocus = this.#buttons.contains(document.activeElement);
    this.#sent = approved;
    this.#error.hidden = true;
    this.#show();
    // A disabled button loses the focus to the page's beginning.
    if (hadFocus) this.element.focus({ preventScroll: true });
    try {
      await this.#approve(this.#run, this.#item, approved);
    } catch (error) {
      this.#sent = null;
      this.#error.hidden = false;
      this.#error.textContent = `Your answer was not accepted: ${error.message}`;
      this.#show();
    }
  }
}

function facts(argumentsText) {
  const values = parsed(argumentsText);
  if (values === null || typeof values !== "object" || Array.isArray(values)) {
    return values ? [el("dd", { text: pretty(values) })] : [];
  }
  return Object.entries(values).flatMap(([name, value]) => [
    el("dt", { text: name }),
    el("dd", { text: typeof value === "string" ? value : JSON.stringify(value) }),
  ]);
}
