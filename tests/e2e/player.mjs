// Plays people: reads one scenario (JSON) from standard input, writes one result per person (JSON lines).
//
// Scenario: {baseUrl, agent, waitS, people: [{baseUrl?, threadId?, headers, prompts: [text], tabs}]}. Each person makes a thread unless
// one is named, opens `tabs` connections to it with the real client, asks each prompt when the one before has ended,
// waits until every tab shows the end, then opens one more tab ("reload") and waits for it.
import { createRequire } from "node:module";
import { AgentApi, ThreadConnection } from "../../streamsink/static/client/index.js";

const ENDS = new Set(["completed", "failed", "cancelled"]);
const signalR = createRequire(import.meta.url)("@microsoft/signalr");

async function main() {
  const scenario = JSON.parse(await text(process.stdin));
  await Promise.all(scenario.people.map((person, index) => play(scenario, person, index)));
  process.exit(0);
}

async function play({ agent, waitS, ...scenario }, person, index) {
  const baseUrl = person.baseUrl ?? scenario.baseUrl;
  const api = new AgentApi({ baseUrl, headers: () => person.headers ?? {} });
  const threadId = person.threadId ?? (await patiently(() => api.createThread()));
  const open = () => openTab({ baseUrl, api, threadId, waitS, headers: person.headers ?? {} });
  const tabs = Array.from({ length: person.tabs ?? 1 }, open);
  for (const [turn, prompt] of person.prompts.entries()) {
    await patiently(() => tabs[0].thread.run(agent, prompt, { key: `${threadId}-${turn}` }));
    await Promise.all(tabs.map((tab) => tab.until((state) => ended(state, turn + 1))));
  }
  const reload = open();
  await reload.until((state) => ended(state, person.prompts.length));
  const states = [...tabs, reload].map((tab) => tab.thread.state);
  const statuses = tabs.map((tab) => tab.thread.status);
  const turned = tabs.flatMap((tab) => tab.turned);
  const [reconnects, rewritten] = ["reconnects", "rewritten"].map((count) => tabs.map((tab) => tab[count]()));
  const result = { index, threadId, states, statuses, turned, reconnects, rewritten };
  await Promise.all([...tabs, reload].map((tab) => tab.thread.close()));
  // The process ends when this has been written: what is left in a pipe's buffer is lost then.
  await new Promise((written) => process.stdout.write(JSON.stringify(result) + "\n", written));
}

function openTab({ baseUrl, api, threadId, waitS, headers }) {
  const thread = new ThreadConnection({ threadId, signalR, api, baseUrl, httpOptions: { headers } });
  const waiting = new Set();
  const ends = new Map();
  const turned = []; // runs that ended in one way, and later in another
  const texts = new Map();
  let rewritten = 0; // times that a text was not what had been shown of it before, and more
  let reconnects = 0;
  thread.onchange = () => {
    for (const { correlationId, attempt, items } of thread.state.runs) {
      const key = `${correlationId} ${attempt}`;
      const text = items.map((item) => item.text ?? "").join("");
      if (!text.startsWith(texts.get(key) ?? "")) rewritten += 1;
      texts.set(key, text);
    }
    for (const { correlationId, status } of thread.state.runs) {
      if (ends.has(correlationId) && ends.get(correlationId) !== status) {
        turned.push(`${ends.get(correlationId)}, then ${status}`);
      }
      if (ENDS.has(status) || ends.has(correlationId)) ends.set(correlationId, status);
    }
    waiting.forEach((check) => check());
  };
  thread.onstatus = (status) => {
    if (status.connection === "reconnecting") reconnects += 1;
    waiting.forEach((check) => check());
  };
  thread.open();
  return { thread, turned, rewritten: () => rewritten, reconnects: () => reconnects, until: (done) => until(thread, waiting, waitS, done) };
}

function until(thread, waiting, waitS, done) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`late: ${JSON.stringify(thread.status)}`)), waitS * 1000);
    const check = () => {
      if (thread.status.connection === "closed") reject(thread.status.error);
      else if (!done(thread.state)) return;
      clearTimeout(late);
      waiting.delete(check);
      resolve();
    };
    waiting.add(check);
    check();
  });
}

const ended = (state, count) =>
  state.runs.length >= count && state.runs.every((run) => ENDS.has(run.status));

/** A request whose connection was cut is made again, as the page does. */
async function patiently(request) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await request();
    } catch (error) {
      if (tries === 20 || !(error.status === 0 || error.status >= 500)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function text(stream) {
  let all = "";
  for await (const chunk of stream) all += chunk;
  return all;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
