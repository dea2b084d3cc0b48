// Runs the golden vectors of tests/vectors; tests/core/vectors.py runs the same ones.

import { readFileSync } from "node:fs";

import { Conversation } from "../../streamsink/static/client/conversation.js";
import { Sequencer } from "../../streamsink/static/client/sequencer.js";

/** The cases of one file, with its defaults merged in. */
export function cases(name) {
  const { envelope, run, cases: own } = JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url)));
  return own.map((given) => ({ envelope, run, ...given }));
}

export function foldEvents({ envelope, events }) {
  return events.map(({ target, data }, i) => ({ target, data: { ...envelope, seq: i + 1, at: i + 1, ...data } }));
}

export function expectedState({ cursor, run, runs }) {
  return { version: 1, cursor, runs: runs.map((given) => ({ ...run, ...given })) };
}

export function fold(events, conversation = new Conversation()) {
  for (const { target, data } of events) conversation.apply(target, data);
  return conversation;
}

/** What is seen after each step of a sequencing case. */
export function runSteps({ options = {}, steps, ...given }) {
  const { max_buffered: maxBuffered, hole_ms: holeMs, silence_ms: silenceMs } = options;
  const sequencer = new Sequencer({ maxBuffered, holeMs, silenceMs });
  if ("joined" in given) {
    sequencer.joinPending(0);
    const start = { cursor: given.joined, reset: true, snapshot: null, events: [], more: false };
    sequencer.answer(given.joined === null ? null : start, 0);
  }
  return steps.map((step) => runStep(sequencer, step));
}

function runStep(sequencer, step) {
  const seen = CALLS[step.do](sequencer, step) ?? {};
  const due = sequencer.due(step.at, step.run_open ?? false);
  return { ...seen, cursor: sequencer.cursor, due: due === Infinity ? null : due };
}

const CALLS = {
  receive: (sequencer, { event, at }) => ({ gives: sequencer.receive(toEvent(event), at).map(toCursor) }),
  join_pending: (sequencer, { at }) => sequencer.joinPending(at),
  join_failed: (sequencer, { at }) => sequencer.joinFailed(at),
  answer: (sequencer, { replay, at }) => {
    const { events, ...rest } = sequencer.answer(replay && { ...replay, events: replay.events.map(toEvent) }, at);
    return { gives: events.map(toCursor), ...rest };
  },
};

function toEvent(cursor) {
  const colon = cursor.lastIndexOf(":");
  return { target: "agentMessage", data: { epoch: cursor.slice(0, colon), seq: Number(cursor.slice(colon + 1)) } };
}

function toCursor({ data }) {
  return `${data.epoch}:${data.seq}`;
}
