import { el } from "./dom.js";

/** Whom the next message goes to. The host names its agents in a meta tag; with one there is nothing to pick. */
export class AgentPicker {
  #names;
  #select = document.getElementById("agent-select");

  /** @param {string} names separated by commas */
  constructor(names) {
    // A page that is opened without its host still has the template's mark.
    this.#names = names.startsWith("{{") ? [] : names.split(",").map((name) => name.trim()).filter(Boolean);
    const isChoice = this.#names.length > 1;
    const title = document.getElementById("agent-name");
    title.textContent = this.#names[0] ?? "Streamsink";
    title.classList.toggle("visually-hidden", isChoice);
    document.title = this.#names.length === 1 ? this.#names[0] : "Streamsink";
    this.#select.hidden = document.getElementById("agent-label").hidden = !isChoice;
    this.#select.append(...this.#names.map((name) => el("option", { value: name, text: name })));
  }

  get isEmpty() {
    return this.#names.length === 0;
  }

  /** @returns {string} */
  get agent() {
    return this.#names.length > 1 ? this.#select.value : (this.#names[0] ?? "");
  }
}
