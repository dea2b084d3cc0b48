// One person with one tab: does what it is told on standard input, and says on standard output what it sees (JSON lines).
//
// First line: {baseUrl, threadId, headers}. Then {run: [agent, text]}, {cancel: agent}; the end of input is the end.
// Says {status, runs: [{status, text, messages}], joins} after every change.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { AgentApi, ThreadConnection } from "../../streamsink/static/client/index.js";

const signalR = createRequire(import.meta.url)("@microsoft/signalr");
let joins = 0;

class CountingApi extends AgentApi {
  joinGroup(...args) {
    joins += 1;
    return super.joinGroup(...args);
  }
}

function open({ baseUrl, threadId, headers }) {
  const api = new CountingApi({ baseUrl, headers: () => headers });
  const thread = new ThreadConnection({ threadId, signalR, api, baseUrl, httpOptions: { headers } });
  thread.onchange = thread.onstatus = () => tell(thread);
  thread.open();
  return thread;
}

function tell({ state, status }) {
  const runs = state.runs.map((run) => ({
    status: run.status,
    text: run.items.map((item) => item.text ?? "").join(""),
    messages: run.messages.map((message) => message.text),
  }));
  process.stdout.write(JSON.stringify({ status, runs, joins }) + "\n");
}

let thread = null;
for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  if (thread === null) thread = open(told);
  else if (told.run) await thread.run(...told.run);
  else if (told.cancel) await thread.cancel(told.cancel);
}
await thread?.close();
process.exit(0);
