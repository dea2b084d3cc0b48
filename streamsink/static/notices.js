import { arrange, el, icon } from "./dom.js";

/**
 * What the person must be told. One notice per key: showing it again replaces it, so trouble that lasts does not
 * pile up.
 */
export class Notices {
  #place;
  #shown = new Map();

  /** @param {Element} place */
  constructor(place) {
    this.#place = place;
  }

  /**
   * @param {string} key
   * @param {{kind?: "info" | "warning" | "error", text: string, action?: {label: string, run: () => void},
   *          isLasting?: boolean}} notice a lasting one has no button that puts it away
   */
  show(key, { kind = "error", text, action, isLasting = false }) {
    if (this.#shown.get(key)?.dataset.text === text) return;
    const close = el("button", { type: "button", class: "quiet", "aria-label": "Put this away", onclick: () => this.hide(key) }, icon("cross"));
    this.#shown.set(
      key,
      el(
        "div",
        { class: "notice", "data-kind": kind, "data-text": text, role: kind === "error" ? "alert" : "status" },
        el("p", { text }),
        action ? el("button", { type: "button", class: "plain", text: action.label, onclick: () => action.run() }) : null,
        isLasting ? null : close,
      ),
    );
    this.#draw();
  }

  hide(key) {
    if (this.#shown.delete(key)) this.#draw();
  }

  clear() {
    this.#shown.clear();
    this.#draw();
  }

  #draw() {
    arrange(this.#place, [...this.#shown.values()]);
  }
}
