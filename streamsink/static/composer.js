/** The message box and its two buttons. */
export class Composer {
  #form;
  #box;
  #send;
  #stop;
  #handlers;

  /**
   * @param {{form: HTMLFormElement, box: HTMLTextAreaElement, send: HTMLButtonElement, stop: HTMLButtonElement}} elements
   * @param {{send: (text: string) => void, stop: () => void}} handlers
   */
  constructor({ form, box, send, stop }, handlers) {
    [this.#form, this.#box, this.#send, this.#stop, this.#handlers] = [form, box, send, stop, handlers];
    form.addEventListener("submit", (event) => this.#submit(event));
    box.addEventListener("input", () => this.#resize());
    box.addEventListener("keydown", (event) => this.#keyed(event));
    stop.addEventListener("click", () => handlers.stop());
    document.addEventListener("keydown", (event) => this.#escaped(event));
    this.#resize();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /** @param {boolean} isOpen whether there is something to stop */
  showStop(isOpen) {
    if (!isOpen && document.activeElement === this.#stop) this.focus();
    if (!isOpen) this.#stop.disabled = false;
    this.#stop.hidden = !isOpen;
  }

  /** Stopping takes a moment; asking again would not shorten it. */
  markStopping(isStopping) {
    this.#stop.disabled = isStopping;
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#box.value.trim();
    if (!text) return;
    this.#box.value = "";
    this.#resize();
    this.#handlers.send(text);
  }

  #keyed(event) {
    // While an input method composes, Enter chooses a word (229: what Safari reports then).
    const isComposing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || isComposing) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #escaped(event) {
    const isFree = !event.defaultPrevented && !document.querySelector("dialog[open]");
    if (event.key === "Escape" && isFree && !this.#stop.hidden && !this.#stop.disabled) this.#handlers.stop();
  }

  #resize() {
    this.#send.disabled = this.#box.value.trim() === "";
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }
}
