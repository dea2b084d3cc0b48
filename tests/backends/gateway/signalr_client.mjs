// Drives the official client: events go to stdout and commands come from stdin, one JSON object per line.
import { createInterface } from "node:readline";
import { HubConnectionBuilder, HttpTransportType, JsonHubProtocol, LogLevel } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

const [url, mode, transport, protocol] = process.argv.slice(2);
const tell = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }));

const options = { skipNegotiation: mode === "skip", transport: HttpTransportType[transport] };
const builder = new HubConnectionBuilder()
  .withUrl(url, options)
  .withHubProtocol(protocol === "messagepack" ? new MessagePackHubProtocol() : new JsonHubProtocol())
  .configureLogging(LogLevel.None);
if (mode === "reconnect") builder.withAutomaticReconnect();
const connection = builder.build();

connection.on("agentMessage", (event) => tell("message", { data: event }));
connection.onreconnecting((error) => tell("reconnecting", { error: error?.message ?? null }));
connection.onreconnected((id) => tell("reconnected", { id }));
connection.onclose((error) => tell("closed", { error: error?.message ?? null }));

const commands = {
  invoke: ({ target, args }) =>
    connection.invoke(target, ...args).then(
      (result) => tell("result", { result }),
      (error) => tell("failed", { error: error.message }),
    ),
  stream: ({ target }) =>
    connection.stream(target).subscribe({
      next: (item) => tell("item", { item }),
      complete: () => tell("complete"),
      error: (error) => tell("failed", { error: error.message }),
    }),
  send: ({ target, args }) => connection.send(target, ...args).then(() => tell("sent")),
  stop: () => connection.stop(),
};

try {
  await connection.start();
  tell("started", { id: connection.connectionId });
} catch (error) {
  tell("refused", { error: error.message });
}
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...fields } = JSON.parse(line);
  await commands[command](fields);
}
