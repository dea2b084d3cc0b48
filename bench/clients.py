"""What each system's clients say before they receive: a path, then texts to send and what must come before each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

EVENT = re.compile(rb'"t":(?P<t>\d+),"seq":(?P<seq>\d+)[,}]')
HANDSHAKE = '{"protocol":"json","version":1}\x1e'


@dataclass(frozen=True)
class Greeting:
    """Args:
    path: of the upgrade request.
    steps: what is waited for, and then sent; empty where there is nothing to wait for or to send.
    event: finds events in what comes, their number and when they were made.
    """

    path: str
    steps: tuple[tuple[bytes, str], ...]
    event: re.Pattern[bytes] = EVENT


def floor(group: str, query: str) -> Greeting:
    return Greeting(f"/{group}", ((b"ready", ""),))


def floor_redis(group: str, query: str) -> Greeting:
    return Greeting(f"/{group}", ((b"ready", ""),))


def signalr(group: str, query: str) -> Greeting:
    return Greeting(f"/client/?{query}", ((b"", HANDSHAKE), (b"{}\x1e", "")))


def socketio(group: str, query: str) -> Greeting:
    join = "42" + json.dumps(["join", group], separators=(",", ":"))
    steps = ((b"0{", "40"), (b"40{", join), (b"joined", ""))
    return Greeting("/socket.io/?EIO=4&transport=websocket", steps)


def channels(group: str, query: str) -> Greeting:
    return Greeting(f"/ws/{group}", ((b"ready", ""),))
