import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Conversation, SnapshotError } from "../../streamsink/static/client/conversation.js";
import { cases, expectedState, fold, foldEvents, runSteps } from "./vector-runner.mjs";

const plain = (state) => JSON.parse(JSON.stringify(state));

describe("folding vectors", () => {
  for (const given of cases("fold")) {
    test(given.name, () => {
      const conversation = fold(foldEvents(given));

      assert.deepEqual(plain(conversation.state), expectedState(given));
      assert.equal(conversation.cursor, given.cursor);
    });

    test(`${given.name}; from a snapshot at any place`, () => {
      const events = foldEvents(given);
      for (let k = 0; k <= events.length; k += 1) {
        const { runs, ...rest } = plain(fold(events.slice(0, k)).state);
        const parts = [{ ...rest, runs: [] }, ...runs.map((run) => ({ ...rest, runs: [run] }))];

        const resumed = fold(events.slice(k), Conversation.fromParts(parts));

        assert.deepEqual(plain(resumed.state), expectedState(given));
      }
    });
  }
});

describe("sequencing vectors", () => {
  for (const given of cases("sequence")) {
    test(given.name, () => {
      runSteps(given).forEach((seen, i) => {
        assert.deepEqual({ ...seen, ...given.steps[i] }, { ...given.steps[i], ...seen });
      });
    });
  }
});

describe("conversation", () => {
  const event = (data) => ({ correlationId: "c1", attempt: 1, at: 1, epoch: "7", seq: 1, ...data });

  test("apply names the runs that changed", () => {
    const conversation = new Conversation();
    const approval = { approvalId: "a1", approved: true };

    assert.deepEqual(conversation.apply("agentApproval", event({ approvalId: "a1" })), ["c1"]);
    assert.deepEqual(conversation.apply("agentDone", event({ status: "completed" })), ["c1"]);
    assert.deepEqual(conversation.apply("agentMessage", event({ messageId: "m1", text: "late" })), []);
    assert.deepEqual(conversation.apply("userMessage", event({ correlationId: "c2", approval })), ["c2", "c1"]);
    assert.deepEqual(conversation.apply("userMessage", event({ messageId: "again", approval })), ["c1"]);
  });

  test("runOpen until every run has its terminal", () => {
    const conversation = new Conversation();
    assert.equal(conversation.runOpen, false);

    conversation.apply("agentStarted", event({}));
    assert.equal(conversation.runOpen, true);

    conversation.apply("agentDone", event({ status: "failed" }));
    assert.equal(conversation.runOpen, false);
  });

  test("a snapshot is copied, and a part given twice counts once", () => {
    const part = plain(fold(foldEvents(cases("fold")[4])).state);
    const before = plain(part);

    const conversation = Conversation.fromParts([part, part]);
    conversation.apply("agentMessage", event({ messageId: "m1", text: "!", offset: 5 }));

    assert.equal(conversation.state.runs.length, 1);
    assert.equal(conversation.state.runs[0].items[1].text, "Hello!");
    assert.deepEqual(part, before);
  });

  test("other versions, and parts of different snapshots, are refused", () => {
    const part = { version: 1, cursor: "7:1", runs: [] };

    assert.throws(() => Conversation.fromParts([{ ...part, version: 2 }]), SnapshotError);
    assert.throws(() => Conversation.fromParts([part, { ...part, cursor: "7:2" }]), SnapshotError);
  });
});
