"""What each system's clients say before they receive: a path, then texts to send and what must come before each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT = re.compile(rb'"t":(?P<t>\d+),"seq":(?P<seq>\d+)[,}]')
# As published through Redis, MessagePack: its place is behind (streamsink/backends/redis/message.py).
PUBLISHED = re.compile(
    rb'"t":(?P<t>\d+)}(?:\xad|\xda\x00\x0d)\d{13}(?P<seq>[\x00-\x7f]|\xcc.|\xcd.{2}|\xce.{4}|\xcf.{8})', re.DOTALL
)
HANDSHAKE = '{"protocol":"json","version":1}\x1e'


@dataclass(frozen=True)
class Greeting:
    """Args:
    path: of the upgrade request.
    steps: what is waited for, and then sent; empty where there is nothing to wait for or to send.
    event: finds events in what comes, their number and when they were made.
    number: reads the number.
    """

    path: str
    steps: tuple[tuple[bytes, str], ...]
    event: re.Pattern[bytes] = EVENT
    number: Callable[[bytes], int] = int


def floor(group: str, query: str) -> Greeting:
    return Greeting(f"/{group}", ((b"ready", ""),))


def floor_redis(group: str, query: str) -> Greeting:
    return Greeting(f"/{group}", ((b"ready", ""),), PUBLISHED, msgspec.msgpack.decode)


def signalr(group: str, query: str) -> Greeting:
    return Greeting(f"/client/?{query}", ((b"", HANDSHAKE), (b"{}\x1e", "")))


def socketio(group: str, query: str) -> Greeting:
    join = "42" + json.dumps(["join", group], separators=(",", ":"))
    steps = ((b"0{", "40"), (b"40{", join), (b"joined", ""))
    return Greeting("/socket.io/?EIO=4&transport=websocket", steps)


def channels(group: str, query: str) -> Greeting:
    return Greeting(f"/ws/{group}", ((b"ready", ""),))
