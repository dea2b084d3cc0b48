// What one attempt of a run has shown: the `items` of the conversation state (docs/protocol.md).
// The twin of streamsink/core/items.py.

/** The member that names an item of its kind, and the one that grows by pieces. */
const ID = { text: "messageId", reasoning: "messageId", tool: "callId", approval: "approvalId" };
const GROWS = { text: "text", reasoning: "text", tool: "arguments" };

/**
 * @typedef {object} Item
 * @property {"text"|"reasoning"|"tool"|"approval"|"content"|"custom"|"event"} kind
 *   Further members by kind: docs/protocol.md, "Conversation state".
 */

/** The text under `name`, without lone surrogates; "" when there is none.
 * @param {object} data @param {string} name @returns {string} */
export function textOf(data, name) {
  const value = data[name];
  return typeof value === "string" ? value.toWellFormed() : "";
}

/** The number under `name`, if there is one.
 * @param {object} data @param {string} name @returns {number|null} */
export function numberOf(data, name) {
  return typeof data[name] === "number" ? data[name] : null;
}

/** The items of one attempt, in order of first appearance. */
export class Items {
  /** @type {Map<string, Item>} */
  #byKey = new Map();

  /** @param {Item[]} items those of a snapshot; they are copied. */
  constructor(items = []) {
    /** @type {Item[]} */
    this.list = [];
    for (const item of items) this.#add({ ...item });
  }

  /** Fold an event that neither begins nor ends the attempt: rules 4 to 6.
   * @param {string} target @param {object} data */
  fold(target, data) {
    const blank = makeBlank(target, data);
    const item = this.#byKey.get(keyOf(blank)) ?? this.#add(blank);
    if (target === "agentToolResult") {
      item.status = textOf(data, "status");
      item.result = data.result ?? null;
    } else if (item.kind in GROWS) {
      grow(item, data);
    }
  }

  /** Give the result to the call that waited for it in these items; false when none did.
   * @param {object} data @returns {boolean} */
  settle(data) {
    const item = this.#byKey.get(`tool ${textOf(data, "callId")}`);
    if (item?.status !== "waiting") return false;
    item.status = textOf(data, "status");
    item.result = data.result ?? null;
    return true;
  }

  /** Whether the call is among these items. @param {string} callId @returns {boolean} */
  knowsCall(callId) {
    return this.#byKey.has(`tool ${callId}`);
  }

  /** The run is over: no tool is running any more, and `text`, unless null, is its final text.
   * @param {string|null} text */
  finish(text) {
    const open = this.list.filter((item) => item.kind === "approval" && item.approved === null);
    const asked = new Set(open.map((item) => item.callId));
    for (const item of this.list) {
      if (item.kind === "tool" && item.status === "running") item.status = asked.has(item.callId) ? "waiting" : "failed";
    }
    if (text !== null) {
      this.list = this.list.filter((item) => item.kind !== "text");
      this.#add({ kind: "text", messageId: "final", text });
    }
  }

  /** Note the answer to an approval; false when it is not among these items.
   * @param {string} approvalId @param {boolean|null} approved @returns {boolean} */
  answer(approvalId, approved) {
    const item = this.#byKey.get(`approval ${approvalId}`);
    if (item) item.approved = approved;
    return item !== undefined;
  }

  #add(item) {
    const key = keyOf(item);
    if (key !== null) this.#byKey.set(key, item);
    this.list.push(item);
    return item;
  }
}

function keyOf(item) {
  return item.kind in ID ? `${item.kind} ${item[ID[item.kind]]}` : null;
}

function grow(item, data) {
  const name = GROWS[item.kind];
  item[name] = head(item[name], numberOf(data, "offset")) + textOf(data, name);
  if (item.kind === "tool") item.name ||= textOf(data, "name");
}

/** The first `offset` units (null, or more than there are: all). */
function head(text, offset) {
  if (offset === null || offset >= text.length) return text;
  return text.slice(0, Math.max(offset, 0)).toWellFormed();
}

/** The item that an event is about as it is first added, before its text or its result. */
function makeBlank(target, data) {
  if (Object.hasOwn(BLANKS, target)) return BLANKS[target](data);
  const { conversationId, correlationId, agentName, attempt, at, seq, epoch, ...rest } = data;
  return { kind: "event", target, data: rest };
}

function makeTool(data) {
  const call = { kind: "tool", callId: textOf(data, "callId"), name: "", arguments: "" };
  return { ...call, status: "running", result: null };
}

const BLANKS = {
  agentMessage: (data) => ({ kind: "text", messageId: textOf(data, "messageId"), text: "" }),
  agentReasoning: (data) => ({ kind: "reasoning", messageId: textOf(data, "messageId"), text: "" }),
  agentToolCall: makeTool,
  agentToolResult: makeTool,
  agentApproval: (data) => ({
    kind: "approval",
    approvalId: textOf(data, "approvalId"),
    callId: textOf(data, "callId"),
    name: textOf(data, "name"),
    arguments: data.arguments ?? null,
    approved: null,
  }),
  agentContent: (data) => ({
    kind: "content",
    contentType: textOf(data, "contentType"),
    content: data.content ?? null,
  }),
  agentCustom: (data) => ({ kind: "custom", name: textOf(data, "name"), data: data.data ?? null }),
};
