import { Backoff } from "./backoff.js";

/** A request was refused, or no answer came (`status` 0). `message` is written for people. */
export class ApiError extends Error {
  /**
   * @param {{status: number, code: string, message: string, retryAfterS?: number | null, cause?: unknown}} fields
   */
  constructor({ status, code, message, retryAfterS = null, cause }) {
    super(message, { cause });
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may succeed later: nothing about it was wrong. */
  get isPassing() {
    return PASSING.has(this.status) || this.status === 429;
  }
}

/** No answer, or one that a proxy gave in the server's place: what happened to the request is unknown. */
const PASSING = new Set([0, 408, 500, 502, 503, 504]);
const TRIES = 4;

/** The base URL (without a slash at its end) of a page that is served at `…/api/index`, mount prefix included. */
export function baseUrlOf(pageUrl) {
  return new URL("..", pageUrl).href.replace(/\/+$/, "");
}

/** An idempotency key. `crypto.randomUUID` is missing on plain-http pages, `getRandomValues` is not. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The HTTP API. Calls reject with an {@link ApiError}, never with anything else, except `AbortError` when the caller's
 * own signal aborts.
 *
 * What may be repeated is repeated after a lost reply, a few times; run and approve carry an idempotency key for it.
 */
export class AgentApi {
  #baseUrl;
  #fetch;
  #headers;
  #credentials;
  #timeoutMs;
  #setTimer;
  #clearTimer;
  #random;

  /**
   * @param {object} options
   * @param {string} options.baseUrl where `/api` is, e.g. `https://example.org/chat`
   * @param {typeof fetch} [options.fetch]
   * @param {() => Record<string, string> | Promise<Record<string, string>>} [options.headers] asked for each request
   * @param {RequestCredentials} [options.credentials] "include" when the API is on another origin and uses cookies
   * @param {number} [options.timeoutMs] after which a reply counts as lost
   */
  constructor({
    baseUrl,
    fetch = (...args) => globalThis.fetch(...args),
    headers = () => ({}),
    credentials = "same-origin",
    timeoutMs = 20_000,
    setTimer = (run, ms) => setTimeout(run, ms),
    clearTimer = (timer) => clearTimeout(timer),
    random = Math.random,
  }) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#fetch = fetch;
    this.#headers = headers;
    this.#credentials = credentials;
    this.#timeoutMs = timeoutMs;
    this.#setTimer = setTimer;
    this.#clearTimer = clearTimer;
    this.#random = random;
  }

  /** @returns {Promise<string>} the new thread's id. A repeat can only leave an empty thread behind. */
  async createThread() {
    return (await this.#repeat("POST", "/api/agent/create-thread")).thread_id;
  }

  /** @returns {Promise<{url: string, accessToken: string}>} asked by the SignalR client itself; here to learn why it fails */
  negotiate() {
    return this.#once("POST", "/api/agent/negotiate");
  }

  /**
   * One try: its caller decides when to try again, because the connection may have changed meanwhile.
   *
   * @param {string} threadId
   * @param {string} connectionId
   * @param {string} after a cursor; "" is the beginning
   * @param {{signal?: AbortSignal, open?: string[]}} [options] `open`: the runs that are taken for open; where no
   *   history is kept, the answer's `ended` says which of them are over
   * @returns {Promise<{status: string, group: string, replay?: object | null, ended?: object[]}>}
   */
  joinGroup(threadId, connectionId, after, { signal, open = [] } = {}) {
    const json = { group: threadId, connectionId, after, ...(open.length > 0 && { open }) };
    return this.#once("POST", "/api/agent/join-group", { json, signal });
  }

  leaveGroup(threadId, connectionId) {
    return this.#repeat("POST", "/api/agent/leave-group", { json: { group: threadId, connectionId } });
  }

  /**
   * Sends a message to an agent; returns when it is accepted, the answer comes over the connection.
   *
   * @param {{agent: string, threadId: string, text: string, key?: string}} run the same `key` twice is one run
   * @returns {Promise<{correlationId: string, threadId: string}>}
   */
  async run({ agent, threadId, text, key = newKey() }) {
    const path = agentPath(agent, "run", { thread_id: threadId });
    const headers = { "Idempotency-Key": key, "X-Wait-For-Response": "false" };
    const reply = await this.#repeat("POST", path, { json: { message: text }, headers });
    return { correlationId: reply.correlation_id, threadId: reply.thread_id };
  }

  /** Stops one run, or without `correlationId` the agent's running and queued ones. */
  cancel({ agent, threadId, correlationId }) {
    const query = { thread_id: threadId, ...(correlationId && { correlation_id: correlationId }) };
    return this.#repeat("POST", agentPath(agent, "cancel", query));
  }

  /** Answers an `agentApproval`. The answer is a run of its own. */
  async approve({ agent, threadId, approvalId, approved, key = newKey() }) {
    const path = agentPath(agent, "approve", { thread_id: threadId });
    const headers = { "Idempotency-Key": key, "X-Wait-For-Response": "false" };
    const reply = await this.#repeat("POST", path, { json: { approvalId, approved }, headers });
    return { correlationId: reply?.correlation_id ?? null };
  }

  /** A thread that is already gone counts as deleted: the first reply may have been lost. */
  async deleteThread(threadId) {
    try {
      await this.#repeat("DELETE", threadPath(threadId));
    } catch (error) {
      if (error.status !== 404 && error.status !== 410) throw error;
    }
  }

  /** A replay without a connection, for pages that poll. */
  events(threadId, after) {
    return this.#repeat("GET", `${threadPath(threadId)}/events?${new URLSearchParams({ after })}`);
  }

  async #repeat(method, path, options) {
    const backoff = new Backoff({ random: this.#random, capMs: 4_000 });
    for (;;) {
      try {
        return await this.#once(method, path, options);
      } catch (error) {
        if (!PASSING.has(error.status) || backoff.tries + 1 >= TRIES) throw error;
        const waitMs = Math.max(backoff.next(), (error.retryAfterS ?? 0) * 1000);
        await new Promise((resolve) => this.#setTimer(resolve, Math.min(waitMs, 10_000)));
      }
    }
  }

  async #once(method, path, { json, headers, signal } = {}) {
    const abort = new AbortController();
    const timer = this.#setTimer(() => abort.abort(), this.#timeoutMs);
    const onAbort = () => abort.abort();
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) abort.abort();
    try {
      return await this.#exchange(method, path, { json, headers, signal: abort.signal });
    } catch (error) {
      throw error instanceof ApiError || signal?.aborted ? error : lostReply(error);
    } finally {
      this.#clearTimer(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #exchange(method, path, { json, headers, signal }) {
    const response = await this.#fetch(this.#baseUrl + path, {
      method,
      headers: {
        Accept: "application/json",
        ...(json !== undefined && { "Content-Type": "application/json" }),
        ...(await this.#headers()),
        ...headers,
      },
      body: json === undefined ? undefined : JSON.stringify(json),
      credentials: this.#credentials,
      cache: "no-store",
      // A login proxy answers with a redirect to its page; following it would look like a network failure.
      redirect: "manual",
      signal,
    });
    if (response.ok) return response.status === 204 ? null : await response.json();
    throw await refusal(response);
  }
}

function agentPath(agent, action, query) {
  return `/api/agents/${encodeURIComponent(agent)}/${action}?${new URLSearchParams(query)}`;
}

function threadPath(threadId) {
  return `/api/agent/threads/${encodeURIComponent(threadId)}`;
}

function lostReply(cause) {
  return new ApiError({ status: 0, code: "network", message: "The server could not be reached.", cause });
}

async function refusal(response) {
  if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
    return new ApiError({ status: 401, code: "unauthenticated", message: "You are no longer signed in." });
  }
  const error = (await response.json().catch(() => null))?.error;
  return new ApiError({
    status: response.status,
    code: error?.code ?? `http_${response.status}`,
    message: error?.message ?? `The server answered with status ${response.status}.`,
    retryAfterS: retryAfterS(response.headers.get("Retry-After")),
  });
}

function retryAfterS(header) {
  if (!header) return null;
  const seconds = /^\d+(\.\d+)?$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
