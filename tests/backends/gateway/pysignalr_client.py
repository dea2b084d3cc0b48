"""Drives pysignalr: events go to stdout and commands come from stdin, one JSON object per line."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol


def tell(event: str, **fields: Any) -> None:
    """Say what happened."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


async def on_open() -> None:
    """The handshake is over."""
    tell("started")


async def on_close() -> None:
    """The connection is lost."""
    tell("closed")


async def on_message(arguments: Any) -> None:
    """An event of ours."""
    tell("message", data=arguments[0])


async def on_result(message: Any) -> None:
    """A call is answered; a failure is told by ``on_error`` too."""


async def on_error(message: Any) -> None:
    """A call failed."""
    tell("failed", error=message.error)


async def obey(client: SignalRClient, commands: asyncio.StreamReader) -> None:
    """Call the server when told to."""
    while line := await commands.readline():
        command = json.loads(line)
        if command["command"] == "invoke":
            arguments: Any = command["args"]
            await client.send(command["target"], arguments, on_invocation=on_result)


async def main(url: str, protocol: str, token: str = "") -> None:
    """Run until the client gives up."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    spoken = MessagepackProtocol() if protocol == "messagepack" else JSONProtocol()
    client = SignalRClient(url, protocol=spoken, headers=headers)
    client.on_open(on_open)
    client.on_close(on_close)
    client.on_error(on_error)
    client.on("agentMessage", on_message)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    obeying = asyncio.create_task(obey(client, commands))
    try:
        await client.run()
    except Exception as error:
        tell("ended", error=f"{type(error).__name__}: {error}")
    obeying.cancel()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(*sys.argv[1:]))
