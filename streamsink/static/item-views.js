import { ApprovalView } from "./approval-view.js";
import { el, icon, setText } from "./dom.js";
import { brief, bytes, omittedBytes, pretty } from "./format.js";
import { MarkdownBody, image, link, safeImage, safeLink } from "./markdown.js";

/**
 * @typedef {object} ItemView what one item of a run looks like
 * @property {Element} element
 * @property {(item: object, run: object) => void} update called whenever the run has changed
 */

const VIEWS = {
  text: () => new TextView(),
  reasoning: () => new ReasoningView(),
  tool: () => new ToolView(),
  approval: (actions) => new ApprovalView(actions),
  content: () => new ContentView(),
  custom: () => new CustomView(),
};

/**
 * @param {string} kind of the item; kinds that came after this page are shown as data
 * @param {{approve: Function}} actions
 * @returns {ItemView}
 */
export function createItemView(kind, actions) {
  return (VIEWS[kind] ?? (() => new UnknownView()))(actions);
}

class TextView {
  #body = new MarkdownBody();
  element = this.#body.element;

  update({ text }) {
    this.#body.update(text);
  }
}

class ReasoningView {
  #label = el("span", { class: "fold-name" });
  #body = new MarkdownBody();
  element = fold("reasoning", icon("thought"), [this.#label], [this.#body.element]);

  update(item, run) {
    const isOn = run.status === "running" && run.items.at(-1) === item;
    setText(this.#label, isOn ? "Thinking …" : "Thoughts");
    this.#body.update(item.text);
  }
}

const TOOL_STATES = { running: "running", completed: "done", failed: "failed", waiting: "needs your answer" };

class ToolView {
  #name = el("span", { class: "fold-name mono" });
  #brief = el("span", { class: "fold-brief mono" });
  #state = el("span", { class: "fold-state" });
  #arguments = el("pre", { tabindex: "0" });
  #result = el("pre", { tabindex: "0" });
  #resultLabel = el("p", { class: "fold-label", text: "Result" });
  element = fold(
    "tool",
    icon("tool"),
    [this.#name, this.#brief, this.#state],
    [el("p", { class: "fold-label", text: "Arguments" }), this.#arguments, this.#resultLabel, this.#result],
  );

  update({ name, arguments: given, status, result }) {
    this.element.dataset.state = status;
    setText(this.#name, name || "a tool");
    setText(this.#brief, brief(given));
    setText(this.#state, TOOL_STATES[status] ?? status);
    setText(this.#arguments, pretty(given) || "(none)");
    const hasResult = result !== null && result !== undefined;
    this.#result.hidden = this.#resultLabel.hidden = !hasResult;
    if (hasResult) setText(this.#result, pretty(result));
  }
}

/** Everything else that an update of the framework can carry: images, files, errors. It comes whole, once. */
class ContentView {
  element = el("div", { class: "content" });
  #shown = false;

  update({ contentType, content }) {
    if (this.#shown) return;
    this.#shown = true;
    this.element.append(contentNode(contentType, content ?? {}));
  }
}

function contentNode(contentType, content) {
  const mediaType = String(content.media_type ?? content.mediaType ?? "");
  const left = omittedBytes(content) ?? omittedBytes(content.uri) ?? omittedBytes(content.data);
  if (left !== null) return el("p", { class: "aside", text: `Content of ${bytes(left)} was too large to be sent.` });
  if (contentType === "error") return el("p", { class: "notice", "data-kind": "error", text: content.message ?? "An error." });
  const address = typeof content.uri === "string" ? content.uri : "";
  const name = content.name ?? content.filename ?? mediaType;
  const isImage = mediaType.startsWith("image/") || (!mediaType && /\.(png|jpe?g|gif|webp|avif)$/i.test(address));
  if (isImage && safeImage(address)) return el("figure", {}, image(safeImage(address), name || "Image from the agent"));
  if (/^data:/i.test(address)) return link(address, `Save ${name || "the file"}`, { download: content.name ?? "" });
  if (safeLink(address)) return link(address, name ? `${name}: ${address}` : address);
  return dataFold(contentType, content);
}

/** What the application published itself: a line of progress when it looks like one, otherwise its data. */
class CustomView {
  #label = el("span", { class: "custom-name" });
  #text = el("span", { class: "custom-text" });
  #progress = el("progress", { max: "100", hidden: true });
  #line = el("p", { class: "custom" }, this.#label, this.#text, this.#progress);
  #data = el("pre", { tabindex: "0" });
  element = el("div", {}, this.#line, this.#data);

  update({ name, data }) {
    const text = typeof data === "string" ? data : (data?.message ?? data?.text ?? data?.status);
    const percent = typeof data?.percent === "number" ? data.percent : null;
    setText(this.#label, name);
    setText(this.#text, typeof text === "string" ? text : "");
    this.#progress.hidden = percent === null;
    if (percent !== null) this.#progress.value = percent;
    this.#progress.setAttribute("aria-label", name);
    this.#data.hidden = typeof text === "string" || percent !== null || data === null;
    if (!this.#data.hidden) setText(this.#data, pretty(data));
  }
}

class UnknownView {
  element = el("div", {});

  update(item) {
    if (!this.element.hasChildNodes()) this.element.append(dataFold(item.target ?? item.kind, item.data ?? item));
  }
}

function dataFold(name, data) {
  const label = el("span", { class: "fold-name mono", text: name });
  return fold("event", icon("event"), [label], [el("pre", { tabindex: "0", text: pretty(data) })]);
}

function fold(kind, symbol, summary, body) {
  return el(
    "details",
    { class: `fold ${kind}` },
    el("summary", {}, symbol, ...summary),
    el("div", { class: "fold-body" }, ...body),
  );
}
