const SVG = "http://www.w3.org/2000/svg";

/**
 * Builds an element. Attributes that are null or false are left out; `text` sets the text; functions become listeners.
 *
 * @param {string} name
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null)} children
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** One of the symbols at the end of index.html; decoration, so not for screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Sets the text only when it differs, so that selections and screen readers are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Puts `nodes` into `parent` in this order, moving and removing as little as possible.
 *
 * @param {Element} parent
 * @param {readonly Node[]} nodes
 */
export function arrange(parent, nodes) {
  const kept = new Set(nodes);
  for (const child of [...parent.childNodes]) {
    if (!kept.has(child)) child.remove();
  }
  nodes.forEach((node, index) => {
    if (parent.childNodes[index] !== node) parent.insertBefore(node, parent.childNodes[index] ?? null);
  });
}

/** Makes `target` look like `source` with as few changes as possible; what stays equal keeps its selection and scroll. */
export function morph(target, source) {
  const wanted = [...source.childNodes];
  wanted.forEach((node, index) => {
    const present = target.childNodes[index];
    if (!present) target.append(node);
    else if (present.nodeName !== node.nodeName) present.replaceWith(node);
    else morphNode(present, node);
  });
  while (target.childNodes.length > wanted.length) target.lastChild.remove();
}

function morphNode(present, node) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (present.nodeValue !== node.nodeValue) present.nodeValue = node.nodeValue;
    return;
  }
  for (const { name } of [...present.attributes]) if (!node.hasAttribute(name)) present.removeAttribute(name);
  for (const { name, value } of node.attributes) {
    if (present.getAttribute(name) !== value) present.setAttribute(name, value);
  }
  morph(present, node);
}
