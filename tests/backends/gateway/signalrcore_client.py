"""Drives signalrcore: events go to stdout and commands come from stdin, one JSON object per line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.types import HttpTransportType, HubProtocolEncoding


def tell(event: str, **fields: Any) -> None:
    """Say what happened."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def connection(url: str, protocol: str, token: str = "") -> Any:
    """A connection that comes back, one second after it was lost."""
    options: dict[str, Any] = {"transport": HttpTransportType.web_sockets}
    if token:
        options["access_token_factory"] = lambda: token
    encoding = HubProtocolEncoding.binary if protocol == "messagepack" else HubProtocolEncoding.text
    builder = HubConnectionBuilder().with_url(url, options=options).with_hub_protocol(encoding)
    return builder.with_automatic_reconnect({"type": "raw", "reconnect_interval": 1, "max_attempts": 3}).build()


def main(*arguments: str) -> None:
    """Run until stdin ends."""
    client = connection(*arguments)
    client.on_open(lambda: tell("started"))
    client.on_close(lambda: tell("closed"))
    client.on_reconnect(lambda: tell("reconnecting"))
    client.on_error(lambda message: tell("failed", error=str(getattr(message, "error", message))))
    client.on("agentMessage", lambda arguments: tell("message", data=arguments[0]))
    client.start()
    for line in sys.stdin:
        command = json.loads(line)
        if command["command"] == "invoke":
            client.send(
                command["target"], command["args"], on_invocation=lambda found: tell("result", found=str(found))
            )
        elif command["command"] == "stop":
            client.stop()


if __name__ == "__main__":
    logging.disable()
    main(*sys.argv[1:])
