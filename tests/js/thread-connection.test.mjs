import assert from "node:assert/strict";
import { test } from "node:test";

import { TARGETS, ThreadConnection } from "../../streamsink/static/client/index.js";
import { FakeApi, FakeClock, FakeSignalR, gate, refused, settle } from "./fakes.mjs";

function setUp(options = {}) {
  const clock = new FakeClock();
  const signalR = new FakeSignalR(clock);
  const api = new FakeApi();
  const { now, setTimer, clearTimer } = clock;
  const thread = new ThreadConnection({
    threadId: "t1",
    signalR,
    api,
    baseUrl: "https://example.org/chat/",
    now,
    setTimer,
    clearTimer,
    random: () => 0.5,
    ...options,
  });
  const states = [];
  thread.onstatus = (status) => states.push(status.connection);
  return { clock, signalR, api, thread, states };
}

/** Opens a thread on which a run has begun to say "Hello". */
async function setUpRun(options) {
  const parts = setUp(options);
  const { api, thread, clock } = parts;
  api.append("userMessage", { attempt: 0, messageId: "u1", text: "Hi" });
  api.append("agentStarted", {});
  api.append("agentMessage", { messageId: "m1", mode: "append", offset: 0, text: "Hello" });
  thread.open();
  await clock.pass(0);
  return parts;
}

const word = (text, offset) => ["agentMessage", { messageId: "m1", mode: "append", offset, text }];
const done = ["agentDone", { status: "completed" }];

function textOf(thread) {
  return thread.state.runs.flatMap(({ items }) => items.map(({ text }) => text)).join("|");
}

function emit(signalR, { target, data }) {
  signalR.emit(target, data);
}

test("connects below the base URL and registers every target", async () => {
  const { signalR, thread, clock } = setUp({ httpOptions: { headers: { a: "b" } } });
  thread.open();
  await clock.pass(0);

  assert.equal(signalR.url, "https://example.org/chat/api/agent");
  assert.deepEqual(signalR.options, { headers: { a: "b" } });
  assert.deepEqual([...signalR.handlers.keys()], TARGETS.map((target) => target.toLowerCase()));
});

test("joins with its connection before anything is sent, then shows what was there", async () => {
  const { api, thread, states } = await setUpRun();

  assert.deepEqual(api.joins, [{ threadId: "t1", connectionId: "c1", after: "" }]);
  assert.equal(textOf(thread), "Hello");
  assert.deepEqual(states, ["live"]);
  assert.equal(thread.status.loaded, true);
  assert.equal(thread.status.history, "kept");
  assert.equal(thread.isRunOpen, true);
});

test("events that overtake the join's answer are neither lost nor doubled", async () => {
  const { api, signalR, thread, clock } = setUp();
  const answer = gate();
  api.script.push(answer.promise);
  thread.open();
  await clock.pass(0);
  emit(signalR, api.append("agentStarted", {}));
  emit(signalR, api.append(...word("Hel", 0)));
  assert.equal(textOf(thread), "");
  answer.open();
  await settle();
  emit(signalR, api.append(...word("lo", 3)));
  emit(signalR, api.events.at(-1));

  assert.equal(textOf(thread), "Hello");
});

test("tells which runs changed", async () => {
  const { api, signalR, thread } = await setUpRun();
  const changes = [];
  thread.onchange = (runIds) => changes.push([...runIds]);
  emit(signalR, api.append(...word("!", 5)));
  emit(signalR, api.append(...done));

  assert.deepEqual(changes, [["r1"], ["r1"]]);
  assert.equal(thread.isRunOpen, false);
});

test("a reconnect joins the new connection with the cursor and misses nothing", async () => {
  const { api, signalR, thread, states, clock } = await setUpRun();
  signalR.drop();
  api.append(...word(", you", 5));
  assert.equal(thread.status.connection, "reconnecting");
  signalR.reconnect();
  await clock.pass(0);

  assert.deepEqual(api.joins.at(-1), { threadId: "t1", connectionId: "c2", after: "1700:3" });
  assert.equal(textOf(thread), "Hello, you");
  assert.deepEqual(states, ["live", "reconnecting", "live"]);
  assert.equal(thread.status.history, "kept");
});

test("the answer for a connection that has gone is not taken for its successor's", async () => {
  const { api, signalR, thread, clock } = setUp();
  const [late, next] = [gate(), gate()];
  api.script.push(late.promise, next.promise);
  api.honoursAbort = false;
  thread.open();
  await clock.pass(0);
  signalR.drop();
  signalR.reconnect();
  late.open();
  await clock.pass(0);
  assert.deepEqual(api.joins.map(({ connectionId }) => connectionId), ["c1", "c2"]);
  assert.equal(thread.status.connection, "connecting");
  next.open();
  await clock.pass(0);

  assert.equal(thread.status.connection, "live");
  assert.deepEqual(api.aborted, [true, false]);
});

test("a join that hangs on a connection that has gone does not hold up its successor", async () => {
  const { api, signalR, thread, clock } = setUp();
  api.script.push(gate().promise);
  thread.open();
  await clock.pass(0);
  signalR.drop();
  signalR.reconnect();
  await clock.pass(0);

  assert.equal(thread.status.connection, "live");
});

test("follows the pages of a long replay", async () => {
  const { api, thread, clock } = setUp();
  api.pageSize = 2;
  api.append("agentStarted", {});
  for (let i = 0; i < 6; i += 1) api.append(...word(String(i), i));
  thread.open();
  await clock.pass(0);

  assert.deepEqual(api.joins.map(({ after }) => after), ["", "1700:2", "1700:4", "1700:6"]);
  assert.equal(textOf(thread), "012345");
});

test("a conversation that starts over is swapped in whole, never shown half", async () => {
  const { api, signalR, thread, clock } = await setUpRun();
  api.epoch = "1800";
  api.events = [];
  api.pageSize = 1;
  api.append("agentStarted", {});
  api.append(...word("Hello again", 0));
  const seen = [];
  thread.onchange = () => seen.push(textOf(thread));
  signalR.drop();
  signalR.reconnect();
  await clock.pass(0);

  assert.deepEqual(seen, ["Hello again"]);
  assert.equal(thread.status.history, "kept");
});

test("says that history is lost when a run that was shown is gone", async () => {
  const { api, signalR, thread, clock } = await setUpRun();
  api.epoch = "1800";
  api.events = [];
  api.append("agentStarted", { correlationId: "r2" });
  signalR.drop();
  signalR.reconnect();
  await clock.pass(0);

  assert.equal(thread.status.history, "lost");
  assert.deepEqual(thread.state.runs.map(({ correlationId }) => correlationId), ["r2"]);
});

test("snapshots in parts are put together", async () => {
  const { api, thread, clock } = setUp();
  const part = (name) => ({
    version: 1,
    cursor: "1700:9",
    runs: [
      { correlationId: name, agentName: "A", attempt: 1, status: "completed", messages: [], items: [], error: null, usage: null, at: 1 },
    ],
  });
  const pages = {
    "": { cursor: "1700:9~1", reset: true, snapshot: part("r1"), events: [], more: true },
    "1700:9~1": { cursor: "1700:9", reset: false, snapshot: part("r2"), events: [], more: false },
  };
  api.replay = (after) => pages[after];
  thread.open();
  await clock.pass(0);

  assert.deepEqual(thread.state.runs.map(({ correlationId }) => correlationId), ["r1", "r2"]);
});

test("a snapshot that this page is too old for closes it with a reason", async () => {
  const { api, thread, clock } = setUp();
  api.replay = () => ({ cursor: "1:1", reset: true, snapshot: { version: 2, cursor: "1:1", runs: [] }, events: [], more: false });
  thread.open();
  await clock.pass(0);

  assert.equal(thread.status.connection, "closed");
  assert.equal(thread.status.error.code, "snapshot_version");
});

test("a hole is closed by one more join after 250 ms", async () => {
  const { api, signalR, thread, clock } = await setUpRun();
  api.append(...word(", you", 5));
  emit(signalR, api.append(...word(" there", 10)));
  await clock.pass(249);
  assert.equal(api.joins.length, 1);
  await clock.pass(1);

  assert.equal(api.joins.at(-1).after, "1700:3");
  assert.equal(textOf(thread), "Hello, you there");
});

test("an open run that is silent is asked after", async () => {
  const { api, thread, clock } = await setUpRun();
  api.append(...done);
  await clock.pass(20_000);

  assert.equal(api.joins.length, 2);
  assert.equal(thread.isRunOpen, false);
});

test("a hole that the server cannot close does not become a hot loop", async () => {
  const { api, signalR, clock } = await setUpRun();
  api.append(...word(", you", 5));
  const later = api.append(...word("!", 10));
  const { replay } = api;
  api.replay = (after) => ({ ...replay.call(api, after), events: [], cursor: after });
  emit(signalR, later);
  await clock.pass(60_000);

  assert.ok(api.joins.length < 15, `${api.joins.length} joins in a minute`);
});

for (const status of [401, 403, 404, 410]) {
  test(`a join refused with ${status} closes the thread and says so`, async () => {
    const { api, signalR, thread, clock } = setUp();
    api.script.push(refused(status));
    thread.open();
    await clock.pass(60_000);

    assert.equal(thread.status.connection, "closed");
    assert.equal(thread.status.error.status, status);
    assert.equal(api.joins.length, 1);
    assert.equal(signalR.connectionId, null);
    assert.equal(clock.waiting, 0);
  });
}

for (const error of [refused(0, "network"), refused(503), refused(500), refused(404, "no_such_connection")]) {
  test(`a join that fails with ${error.status} ${error.code} is tried again`, async () => {
    const { api, thread, clock, states } = setUp();
    api.script.push(error);
    thread.open();
    await clock.pass(1_000);

    assert.equal(api.joins.length, 2);
    assert.deepEqual(states.at(-1), "live");
    assert.equal(thread.status.error, null);
  });
}

test("a busy server is left alone for as long as it asks", async () => {
  const { api, thread, clock } = setUp();
  api.script.push(refused(429, "busy", 7));
  thread.open();
  await clock.pass(6_900);
  assert.equal(api.joins.length, 1);
  assert.equal(thread.status.error.code, "busy");
  await clock.pass(100);

  assert.equal(thread.status.connection, "live");
});

test("joins that keep failing slow down, and say offline", async () => {
  const { api, thread, clock } = setUp();
  api.script.push(...Array.from({ length: 1_000 }, () => refused(503)));
  thread.open();
  await clock.pass(120_000);

  assert.ok(api.joins.length < 20, `${api.joins.length} joins in two minutes`);
  assert.equal(thread.status.connection, "offline");
});

test("an answer without a replay that can be read is a failed join, not a lost one", async () => {
  const { api, thread, clock } = await setUpRun();
  const { replay } = api;
  api.replay = () => ({});
  api.append(...word("!", 5));
  await clock.pass(20_000);
  api.replay = replay;
  await clock.pass(5_000);

  assert.equal(textOf(thread), "Hello!");
});

test("the first start is tried until it works", async () => {
  const { signalR, thread, clock, states } = setUp();
  signalR.startErrors.push(new Error("1"), new Error("2"), new Error("3"));
  thread.open();
  await clock.pass(0);
  assert.equal(thread.status.connection, "connecting");
  await clock.pass(10_000);

  assert.equal(signalR.starts, 4);
  assert.deepEqual(states, ["offline", "live"]);
});

test("starts that keep failing slow down", async () => {
  const { signalR, thread, clock } = setUp();
  signalR.startErrors.push(...Array.from({ length: 1_000 }, () => new Error("down")));
  thread.open();
  await clock.pass(120_000);

  assert.ok(signalR.starts < 20, `${signalR.starts} starts in two minutes`);
  assert.equal(thread.status.connection, "offline");
});

test("a close that the server meant is followed by a new start", async () => {
  const { api, signalR, thread, clock } = await setUpRun();
  signalR.close(new Error("kicked"));
  assert.equal(thread.status.connection, "reconnecting");
  await clock.pass(1_000);

  assert.equal(signalR.starts, 2);
  assert.equal(api.joins.at(-1).connectionId, "c2");
});

test("a server that accepts and drops is not asked in a hot loop", async () => {
  const { signalR, clock } = await setUpRun();
  const waits = [];
  for (let i = 0; i < 8; i += 1) {
    waits.push(signalR.drop());
    signalR.reconnect();
    await clock.pass(100);
  }

  assert.ok(waits.at(-1) > 5_000, `waits: ${waits}`);
});

test("a connection that lived well comes back quickly, however often", async () => {
  const { signalR, clock } = await setUpRun();
  for (let i = 0; i < 5; i += 1) {
    await clock.pass(11_000);
    assert.ok(signalR.drop() <= 500);
    signalR.reconnect();
  }
});

test("the reconnect policy never gives up, and its waits are capped", async () => {
  const { signalR, thread } = await setUpRun();
  signalR.drop();
  const waits = Array.from({ length: 50 }, () => signalR.failAgain());

  assert.ok(waits.every((ms) => ms > 0 && ms <= 15_000));
  assert.equal(thread.status.connection, "offline");
});

test("a person can end the wait, before a start and inside the official client's", async () => {
  const { signalR, thread, clock } = setUp();
  signalR.startErrors.push(...Array.from({ length: 6 }, () => new Error("down")));
  thread.open();
  await clock.pass(6_000);
  const before = signalR.starts;
  signalR.startErrors = [];
  thread.retryNow();
  await clock.pass(0);
  assert.equal(signalR.starts, before + 1);
  assert.equal(thread.status.connection, "live");

  signalR.drop();
  thread.retryNow();
  await clock.pass(0);
  assert.equal(thread.status.connection, "live");
  thread.retryNow();
  assert.equal(signalR.starts, before + 2);
});

test("a negotiate that is refused is asked once more, by us, and then believed", async () => {
  const { api, signalR, thread, clock } = setUp();
  signalR.startErrors.push(new Error("Failed to complete negotiation with the server: Error: : Status code '401'"));
  api.negotiateError = refused(401, "unauthenticated");
  thread.open();
  await clock.pass(60_000);

  assert.equal(thread.status.connection, "closed");
  assert.equal(thread.status.error.code, "unauthenticated");
  assert.equal(signalR.starts, 1);
});

test("a refusal that was not the app's own is only another failure", async () => {
  const { signalR, thread, clock } = setUp();
  signalR.startErrors.push(new Error("Failed to complete negotiation with the server: Error: : Status code '401'"));
  thread.open();
  await clock.pass(5_000);

  assert.equal(thread.status.connection, "live");
});

test("events of other threads, and what is no event, are ignored", async () => {
  const { api, signalR, thread, clock } = await setUpRun();
  signalR.emit("agentMessage", { conversationId: "t2", correlationId: "r9", epoch: "1700", seq: 4, text: "secret" });
  signalR.emit("agentMessage", null);
  signalR.emit("agentMessage", { conversationId: "t1" });
  await clock.pass(1_000);

  assert.equal(textOf(thread), "Hello");
  assert.equal(api.joins.length, 1);
});

test("without history it says so, and says when something went by", async () => {
  const { api, signalR, thread, clock } = setUp();
  api.keepsHistory = false;
  thread.open();
  await clock.pass(0);
  assert.equal(thread.status.history, "none");
  signalR.drop();
  signalR.reconnect();
  await clock.pass(0);
  assert.equal(thread.status.history, "none");

  api.epoch = "r1.1";
  emit(signalR, api.append("agentStarted", {}));
  api.append(...word("Hel", 0));
  emit(signalR, api.append(...word("lo", 3)));
  assert.equal(textOf(thread), "");
  await clock.pass(1_000);
  assert.equal(textOf(thread), "lo");
  signalR.drop();
  signalR.reconnect();
  await clock.pass(0);

  assert.equal(thread.status.history, "lost");
});

test("without history a run whose end went by is asked about, and closed", async () => {
  const { api, signalR, thread, clock } = setUp();
  api.keepsHistory = false;
  api.epoch = "r1.1";
  thread.open();
  await clock.pass(0);
  assert.deepEqual(api.open, []);
  emit(signalR, api.append("agentStarted", {}));
  emit(signalR, api.append(...word("Hel", 0)));
  signalR.drop();
  const done = { conversationId: "t1", correlationId: "r1", agentName: "a", attempt: 1, at: 1, status: "completed", text: "Hello" };
  api.ended = [{ target: "agentDone", data: done }];
  signalR.reconnect();
  await clock.pass(0);

  assert.deepEqual(api.open, ["r1"]);
  assert.equal(thread.isRunOpen, false);
  assert.equal(textOf(thread), "Hello");
  assert.equal(thread.status.history, "lost");
  const joins = api.joins.length;
  await clock.pass(120_000);
  assert.equal(api.joins.length, joins);
});

test("a callback that throws stops neither the events nor the join", async (context) => {
  const reports = context.mock.method(console, "error", () => {});
  const { api, signalR, thread, clock } = setUp();
  thread.onstatus = thread.onchange = () => {
    throw new Error("a mistake of the page");
  };
  thread.open();
  await clock.pass(0);
  emit(signalR, api.append("agentStarted", {}));
  emit(signalR, api.append(...word("Hello", 0)));

  assert.equal(textOf(thread), "Hello");
  assert.equal(api.joins.length, 1);
  assert.ok(reports.mock.callCount() >= 2);
});

test("closing ends everything and calls nothing back", async () => {
  const { api, signalR, thread, clock, states } = await setUpRun();
  await thread.close();
  await thread.close();
  emit(signalR, api.append(...word("!", 5)));
  await clock.pass(60_000);

  assert.deepEqual(states, ["live"]);
  assert.equal(textOf(thread), "Hello");
  assert.equal(api.joins.length, 1);
  assert.equal(clock.waiting, 0);
});

test("closing while it starts leaves no connection behind", async () => {
  const { signalR, thread, clock } = setUp();
  thread.open();
  await thread.close();
  await clock.pass(60_000);

  assert.equal(signalR.starts, 1);
  assert.equal(signalR.connectionId, null);
  assert.equal(thread.status.connection, "closed");
});

test("sends go to the API, with this thread", async () => {
  const { api, thread } = await setUpRun();
  const calls = [];
  for (const name of ["run", "cancel", "approve"]) api[name] = async (call) => calls.push([name, call]);
  await thread.run("A", "Hi", { key: "k" });
  await thread.cancel("A", "r1");
  await thread.approve("A", "a1", true);

  assert.deepEqual(calls, [
    ["run", { agent: "A", threadId: "t1", text: "Hi", key: "k" }],
    ["cancel", { agent: "A", threadId: "t1", correlationId: "r1" }],
    ["approve", { agent: "A", threadId: "t1", approvalId: "a1", approved: true, key: undefined }],
  ]);
});

/** A thread that notes what it asks the API for. */
function setUpAsking(options) {
  const parts = setUp(options);
  const asked = [];
  parts.api.run = async ({ text }) => asked.push(text);
  parts.api.approve = async ({ approvalId }) => asked.push(approvalId);
  return { ...parts, asked };
}

test("what is asked before the first join waits for it: without a history its answer would be lost", async () => {
  const { api, thread, clock, asked } = setUpAsking();
  const answer = gate();
  api.keepsHistory = false;
  api.script.push(answer.promise);
  thread.open();
  const requests = [thread.run("A", "Hi"), thread.approve("A", "a1", true)];
  await clock.pass(4_000);
  assert.deepEqual(asked, []);
  answer.open();
  await Promise.all(requests);

  assert.deepEqual(asked, ["Hi", "a1"]);
  assert.equal(clock.waiting, 0);
});

test("without a history it also waits for a connection that was lost; with one it need not", async () => {
  for (const keepsHistory of [false, true]) {
    const { api, signalR, thread, clock, asked } = setUpAsking();
    api.keepsHistory = keepsHistory;
    thread.open();
    await clock.pass(0);
    signalR.drop();
    void thread.run("A", "Hi");
    await settle();
    assert.deepEqual(asked, keepsHistory ? ["Hi"] : []);
    signalR.reconnect();
    await clock.pass(0);
    assert.deepEqual(asked, ["Hi"]);
  }
});

test("what is asked while no connection can be had is asked all the same, after a while", async () => {
  const { signalR, thread, clock, asked } = setUpAsking();
  signalR.startErrors = Array.from({ length: 100 }, () => new Error("no way"));
  thread.open();
  void thread.run("A", "Hi");
  await clock.pass(4_999);
  assert.deepEqual(asked, []);
  await clock.pass(1);

  assert.deepEqual(asked, ["Hi"]);
  void thread.run("A", "once more");
  await thread.close();
  await settle();
  assert.deepEqual(asked, ["Hi", "once more"]);
});
