// socket.io in Node with its Redis adapter. Argument: the Redis port.
import { createServer } from "node:http";
import { createRequire } from "node:module";

// From bench/node_modules, whatever the folder this file is started from.
const require = createRequire(new URL("../package.json", import.meta.url));
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");

const publisher = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer();
const io = new Server(http, {
  adapter: createAdapter(publisher, subscriber),
  transports: ["websocket"],
  perMessageDeflate: false,
  pingInterval: 300_000,
});
io.on("connection", (socket) => {
  socket.on("join", (group) => {
    socket.join(group);
    socket.emit("joined", group);
  });
});
http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.stdout.write(JSON.stringify({ port: http.address().port }) + "\n");
});
process.on("SIGTERM", () => process.exit(0));
