/**
 * The targets of the protocol.
 *
 * The SignalR client can only receive what a handler is registered for; it drops any other target with a warning.
 * Such an event leaves a hole in `seq`, so the sequencer joins again after 250 ms and finds it in the replay: a target
 * that is missing here arrives late, not never. (Without history it is lost: add the target.)
 */
export const TARGETS = Object.freeze([
  "userMessage",
  "agentStarted",
  "agentMessage",
  "agentReasoning",
  "agentToolCall",
  "agentToolResult",
  "agentApproval",
  "agentContent",
  "agentCustom",
  "agentInterrupted",
  "agentDone",
]);
