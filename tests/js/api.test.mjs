import assert from "node:assert/strict";
import { test } from "node:test";

import { AgentApi, ApiError, Backoff, baseUrlOf, newKey } from "../../streamsink/static/client/index.js";
import { FakeClock } from "./fakes.mjs";

/** An API whose server answers with the given steps in turn: a response, an error, or a function of the request. */
function setUp(steps, options = {}) {
  const clock = new FakeClock();
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url, ...init, body: init.body && JSON.parse(init.body) });
    const step = steps.shift();
    if (step instanceof Error) throw step;
    return typeof step === "function" ? step(init) : step;
  };
  const { setTimer, clearTimer } = clock;
  const base = { baseUrl: "https://example.org/chat/", fetch, setTimer, clearTimer, random: () => 0.5 };
  return { api: new AgentApi({ ...base, ...options }), clock, requests };
}

function json(status, body, headers = {}) {
  return new Response(body === null ? null : JSON.stringify(body), { status, headers });
}

const failure = (status, code = "x", headers = {}) => json(status, { error: { code, message: `about ${code}` } }, headers);
const lost = () => new TypeError("fetch failed");
const accepted = () => json(202, { thread_id: "t1", session_id: "t1", correlation_id: "r1", status: "accepted", message: "" });

/** Lets time pass until the call has ended. */
async function outcome(clock, call) {
  const settled = call.then((value) => ({ value }), (error) => ({ error }));
  let result;
  void settled.then((found) => (result = found));
  for (let i = 0; i < 100 && !result; i += 1) {
    await clock.pass(1_000);
    await new Promise(setImmediate); // bodies of real Response objects are read outside the microtask queue
  }
  return settled;
}

test("the base URL comes from the page's own, mount prefix included", () => {
  assert.equal(baseUrlOf("https://example.org/api/index"), "https://example.org");
  assert.equal(baseUrlOf("https://example.org/chat/api/index?x=1#thread=t1"), "https://example.org/chat");
});

test("keys are long and differ", () => {
  assert.match(newKey(), /^[0-9a-f]{32}$/);
  assert.notEqual(newKey(), newKey());
});

test("creates a thread", async () => {
  const { api, clock, requests } = setUp([json(200, { thread_id: "t1" })]);

  assert.deepEqual(await outcome(clock, api.createThread()), { value: "t1" });
  assert.equal(requests[0].url, "https://example.org/chat/api/agent/create-thread");
  assert.equal(requests[0].method, "POST");
  assert.equal(clock.waiting, 0);
});

test("asks for headers each time, and sends no cookie elsewhere unless told to", async () => {
  let asked = 0;
  const headers = async () => ({ Authorization: `Bearer ${(asked += 1)}` });
  const { api, clock, requests } = setUp([json(200, {}), json(200, {})], { headers, credentials: "include" });
  await outcome(clock, api.negotiate());
  await outcome(clock, api.negotiate());

  assert.deepEqual(requests.map((request) => request.headers.Authorization), ["Bearer 1", "Bearer 2"]);
  assert.equal(requests[0].credentials, "include");
});

test("joins and leaves with the fields of the contract", async () => {
  const { api, clock, requests } = setUp([json(200, { status: "joined" }), json(200, { status: "left" })]);
  await outcome(clock, api.joinGroup("t1", "c1", ""));
  await outcome(clock, api.leaveGroup("t1", "c1"));

  assert.deepEqual(requests.map(({ body }) => body), [
    { group: "t1", connectionId: "c1", after: "" },
    { group: "t1", connectionId: "c1" },
  ]);
});

test("runs with a key and does not wait for the answer", async () => {
  const { api, clock, requests } = setUp([accepted()]);
  const { value } = await outcome(clock, api.run({ agent: "A/b", threadId: "t 1", text: "Hi", key: "k1" }));

  assert.deepEqual(value, { correlationId: "r1", threadId: "t1" });
  const [{ url, headers, body }] = requests;
  assert.equal(url, "https://example.org/chat/api/agents/A%2Fb/run?thread_id=t+1");
  assert.equal(headers["Idempotency-Key"], "k1");
  assert.equal(headers["X-Wait-For-Response"], "false");
  assert.equal(headers["Content-Type"], "application/json");
  assert.deepEqual(body, { message: "Hi" });
});

test("a lost reply is asked for again with the same key", async () => {
  const { api, clock, requests } = setUp([lost(), failure(503, "unavailable"), accepted()]);
  const { value } = await outcome(clock, api.run({ agent: "A", threadId: "t1", text: "Hi" }));

  assert.equal(value.correlationId, "r1");
  assert.equal(requests.length, 3);
  assert.equal(new Set(requests.map(({ headers }) => headers["Idempotency-Key"])).size, 1);
});

test("a server that stays away is an error after four tries", async () => {
  const { api, clock, requests } = setUp(Array.from({ length: 10 }, lost));
  const { error } = await outcome(clock, api.run({ agent: "A", threadId: "t1", text: "Hi" }));

  assert.ok(error instanceof ApiError);
  assert.deepEqual([error.status, error.code, error.isPassing], [0, "network", true]);
  assert.equal(requests.length, 4);
});

test("a reply that never comes counts as lost", async () => {
  const never = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))));
  const { api, clock } = setUp([never, accepted()], { timeoutMs: 5_000 });

  assert.equal((await outcome(clock, api.run({ agent: "A", threadId: "t1", text: "Hi" }))).value.correlationId, "r1");
});

test("a body that is cut off counts as lost", async () => {
  const { api, clock } = setUp([new Response('{"corr', { status: 202 }), accepted()]);

  assert.equal((await outcome(clock, api.run({ agent: "A", threadId: "t1", text: "Hi" }))).value.correlationId, "r1");
});

for (const status of [400, 401, 403, 404, 409, 410, 413, 422, 429]) {
  test(`${status} is told at once, in the server's words`, async () => {
    const { api, clock, requests } = setUp([failure(status, "because")]);
    const { error } = await outcome(clock, api.run({ agent: "A", threadId: "t1", text: "Hi" }));

    assert.deepEqual([error.status, error.code, error.message], [status, "because", "about because"]);
    assert.equal(requests.length, 1);
  });
}

test("Retry-After is read in seconds and as a date", async () => {
  const date = new Date(Date.now() + 60_000).toUTCString();
  const values = ["7", date, "soon"];
  const { api, clock } = setUp(values.map((value) => failure(429, "busy", { "Retry-After": value })));
  const found = [];
  for (const _ of values) found.push((await outcome(clock, api.negotiate())).error.retryAfterS);

  assert.equal(found[0], 7);
  assert.ok(found[1] > 55 && found[1] <= 60);
  assert.equal(found[2], null);
});

test("an error that is no JSON of ours still says its status", async () => {
  const { api, clock } = setUp([new Response("<html>", { status: 404 })]);
  const { error } = await outcome(clock, api.negotiate());

  assert.equal(error.code, "http_404");
  assert.match(error.message, /404/);
});

test("a redirect to a login page means: no longer signed in", async () => {
  const { api, clock, requests } = setUp([new Response(null, { status: 302, headers: { Location: "/login" } })]);
  const { error } = await outcome(clock, api.createThread());

  assert.deepEqual([error.status, error.code], [401, "unauthenticated"]);
  assert.equal(requests[0].redirect, "manual");
});

test("a join is tried once, and its caller can take it back", async () => {
  const { api, clock, requests } = setUp([failure(503)]);
  assert.equal((await outcome(clock, api.joinGroup("t1", "c1", ""))).error.status, 503);
  assert.equal(requests.length, 1);

  const abort = new AbortController();
  const never = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))));
  const second = setUp([never]);
  const call = second.api.joinGroup("t1", "c1", "", { signal: abort.signal });
  await second.clock.pass(1);
  abort.abort();
  assert.equal((await outcome(second.clock, call)).error.name, "AbortError");
  assert.equal(second.clock.waiting, 0);
});

test("cancels one run, or all of an agent", async () => {
  const { api, clock, requests } = setUp([json(202, {}), json(202, {})]);
  await outcome(clock, api.cancel({ agent: "A", threadId: "t1", correlationId: "r1" }));
  await outcome(clock, api.cancel({ agent: "A", threadId: "t1" }));

  assert.deepEqual(requests.map(({ url }) => url.split("?")[1]), ["thread_id=t1&correlation_id=r1", "thread_id=t1"]);
});

test("answers an approval with a key of its own", async () => {
  const { api, clock, requests } = setUp([accepted()]);
  const { value } = await outcome(clock, api.approve({ agent: "A", threadId: "t1", approvalId: "a1", approved: false }));

  assert.deepEqual(value, { correlationId: "r1" });
  assert.deepEqual(requests[0].body, { approvalId: "a1", approved: false });
  assert.match(requests[0].headers["Idempotency-Key"], /^[0-9a-f]{32}$/);
});

test("deleting what is gone already has worked", async () => {
  const { api, clock, requests } = setUp([json(204, null), lost(), failure(410), failure(403)]);
  assert.deepEqual(await outcome(clock, api.deleteThread("t/1")), { value: undefined });
  assert.deepEqual(await outcome(clock, api.deleteThread("t/1")), { value: undefined });
  assert.equal((await outcome(clock, api.deleteThread("t/1"))).error.status, 403);
  assert.equal(requests[0].url, "https://example.org/chat/api/agent/threads/t%2F1");
});

test("reads a replay without a connection", async () => {
  const { api, clock, requests } = setUp([json(200, { cursor: "1:2" })]);
  await outcome(clock, api.events("t1", "1700:42~1"));

  assert.equal(requests[0].url, "https://example.org/chat/api/agent/threads/t1/events?after=1700%3A42%7E1");
});

test("backoff grows, is jittered within half, and is capped", () => {
  const [low, high] = [0, 1].map((value) => new Backoff({ random: () => value, baseMs: 100, capMs: 1_000 }));
  const waits = Array.from({ length: 6 }, () => [low.next(), high.next()]);

  assert.deepEqual(waits, [[50, 100], [100, 200], [200, 400], [400, 800], [500, 1_000], [500, 1_000]]);
  assert.equal(low.tries, 6);
  low.reset();
  assert.equal(low.next(), 50);
});
