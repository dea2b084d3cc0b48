/**
 * Streamsink for browsers (and Node): one thread, live, in order, exactly once. No DOM, no build step.
 *
 *     const api = new AgentApi({ baseUrl });
 *     const thread = new ThreadConnection({ threadId: await api.createThread(), signalR, api, baseUrl });
 *     thread.onchange = (runIds) => render(thread.state, runIds);
 *     thread.onstatus = (status) => show(status);
 *     thread.open();
 *     await thread.run("TravelPlanner", "Plan a 3-day trip to Lisbon");
 */
export { AgentApi, ApiError, baseUrlOf, newKey } from "./api.js";
export { Backoff } from "./backoff.js";
export { Conversation } from "./conversation.js";
export { Sequencer } from "./sequencer.js";
export { TARGETS } from "./targets.js";
export { ThreadConnection } from "./thread-connection.js";
