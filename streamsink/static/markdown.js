import { el, morph } from "./dom.js";
import { Marked } from "./vendor/marked.esm.js";
import createPurifier from "./vendor/purify.es.mjs";

const purifier = createPurifier(window);
/** What Markdown can produce, and nothing else: an answer is text from a stranger. */
const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["align", "alt", "href", "src", "start", "title"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  // Schemes are judged by `safeLink` and `safeImage`, after parsing; this only has to let data images through to them.
  ADD_DATA_URI_TAGS: ["img"],
  RETURN_DOM_FRAGMENT: true,
};
const BITMAP = /^data:image\/(?:png|jpeg|gif|webp|avif);/i;

const renderer = {
  // Raw HTML is shown as what it is, text.
  html: ({ text, block }) => (block ? `<p>${escaped(text)}</p>` : escaped(text)),
  // The page owns the first two levels of headings.
  heading({ tokens, depth }) {
    const level = Math.min(depth + 2, 6);
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
  },
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
};
const answers = new Marked({ gfm: true, renderer });
/** People press Enter where they want a line to end. */
const messages = new Marked({ gfm: true, breaks: true, renderer });

/** Markdown that grows: only the blocks whose source changed are rendered again. */
export class MarkdownBody {
  #marked;
  #text = "";
  #blocks = [];
  #definitions = 0;

  /** @param {{isMessage?: boolean}} [options] a person's message keeps its line ends */
  constructor({ isMessage = false } = {}) {
    this.#marked = isMessage ? messages : answers;
    this.element = el("div", { class: "markdown" });
  }

  /** @param {string} text the whole text so far */
  update(text) {
    if (text === this.#text) return;
    this.#text = text;
    const tokens = this.#marked.lexer(text);
    // A definition that comes late turns `[text][name]` further up into links.
    const definitions = Object.keys(tokens.links).length;
    if (definitions !== this.#definitions) this.#blocks.forEach((block) => (block.raw = null));
    this.#definitions = definitions;
    this.#show(tokens.filter(({ type }) => type !== "space" && type !== "def"));
  }

  #show(tokens) {
    tokens.forEach((token, index) => {
      const block = (this.#blocks[index] ??= this.#added());
      if (block.raw === token.raw) return;
      block.raw = token.raw;
      morph(block.element, safeFragment(this.#marked.parser([token])));
    });
    for (const block of this.#blocks.splice(tokens.length)) block.element.remove();
  }

  #added() {
    const element = el("div", { class: "block" });
    this.element.append(element);
    return { raw: null, element };
  }
}

/** @returns {string | null} the address when it may be followed: absolute, and on the web or by mail */
export function safeLink(address) {
  // A relative address would point into this application, a bare fragment at another conversation.
  return /^(?:https?:\/\/|mailto:|tel:)/i.test(address ?? "") && URL.canParse(address) ? address : null;
}

/**
 * An image elsewhere is never loaded by itself: an agent that was talked into it could tell that server, in the
 * address, what this conversation says. It becomes a link.
 *
 * @returns {string | null} the address when it may be shown as an image: a bitmap that is part of the text
 */
export function safeImage(address) {
  return BITMAP.test(address ?? "") ? address : null;
}

export function image(address, description) {
  return el("img", { src: address, alt: description, decoding: "async" });
}

/** A link out of the page. */
export function link(address, text, attributes = {}) {
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer", ...attributes, text });
}

function safeFragment(html) {
  const fragment = purifier.sanitize(html, ALLOWED);
  for (const anchor of fragment.querySelectorAll("a")) guardLink(anchor);
  for (const found of fragment.querySelectorAll("img")) {
    found.replaceWith(imageOrLink(found.getAttribute("src"), found.getAttribute("alt") || "image"));
  }
  // What scrolls sideways must be reachable by keyboard.
  for (const code of fragment.querySelectorAll("pre")) code.setAttribute("tabindex", "0");
  for (const table of fragment.querySelectorAll("table")) {
    const frame = el("div", { class: "table", tabindex: "0" });
    table.replaceWith(frame);
    frame.append(table);
  }
  return fragment;
}

function imageOrLink(address, description) {
  if (safeImage(address)) return image(address, description);
  return safeLink(address) ? link(address, description) : `[${description}]`;
}

function guardLink(anchor) {
  if (!safeLink(anchor.getAttribute("href"))) {
    anchor.removeAttribute("href");
    return;
  }
  anchor.setAttribute("target", "_blank");
  anchor.setAttribute("rel", "noopener noreferrer");
}

function escaped(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
