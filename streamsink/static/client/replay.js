import { ApiError } from "./api.js";

/**
 * @param {{replay?: import("./sequencer.js").Replay | null}} reply of join-group
 * @returns {import("./sequencer.js").Replay | null} null: this deployment keeps no history
 * @throws {TypeError} before anything is taken from an answer that cannot be read
 */
export function replayOf(reply) {
  const replay = reply?.replay ?? null;
  if (replay === null || (typeof replay.cursor === "string" && Array.isArray(replay.events))) return replay;
  throw new TypeError("the answer of join-group has no replay");
}

/**
 * The ends of runs that were taken for open: events without a place, from a deployment that keeps no history.
 *
 * @param {{ended?: import("./sequencer.js").Invocation[]}} reply of join-group
 * @returns {import("./sequencer.js").Invocation[]}
 */
export function endedOf(reply) {
  const ended = Array.isArray(reply?.ended) ? reply.ended : [];
  return ended.map(({ target, data }) => ({ target, data: { ...data, epoch: "", seq: 0 } }));
}

/** The server's snapshots are of a version that this page does not know. */
export function outdated(cause) {
  const message = "This page is older than its server; load it again.";
  return new ApiError({ status: 410, code: "snapshot_version", message, cause });
}
