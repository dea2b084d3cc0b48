// socket.io's Redis emitter in Node: fire and forget, no history, no order. Argument: the Redis port.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// From bench/node_modules, whatever the folder this file is started from.
const require = createRequire(new URL("../package.json", import.meta.url));
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");

const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
await client.connect();
const emitter = new Emitter(client);
const TEXT = "a token or two, ";
let groups = [];

const commands = {
  begin: async (command) => {
    groups = command.groups;
    return {};
  },
  // `turns` times one event to each group; a loop turn in between, so that what was written leaves.
  publish: async ({ turns }) => {
    const began = performance.now();
    for (let turn = 1; turn <= turns; turn++) {
      for (const group of groups) {
        emitter.to(group).emit("agentMessage", {
          conversationId: group, correlationId: `run-${group}`, agentName: "bench", attempt: 1, at: 1_700_000_000_000,
          messageId: "m1", mode: "append", offset: turn * TEXT.length, text: TEXT, t: 0, seq: turn, epoch: "1700000000000",
        });
      }
      await new Promise(setImmediate);
    }
    await client.ping(); // the server has it all
    return { seconds: (performance.now() - began) / 1000, events: turns * groups.length };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  process.stdout.write(JSON.stringify(await commands[command.do](command)) + "\n");
}
