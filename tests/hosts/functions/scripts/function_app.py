"""What a `function_app.py` is, for workers in processes of their own: settings come from the environment."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from agent_framework import Agent

from streamsink.demo.scripted import Pause, Reply, ScriptedChatClient, Text
from streamsink.hosts.functions import StreamFunctionApp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent_framework import Message


async def for_ever() -> None:
    await asyncio.Event().wait()


def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
    """A process with `HANG` set stops half-way."""
    if "HANG" in os.environ:
        return [Text("Half of"), Pause(for_ever)]
    return [Text(f"{len(messages)} {messages[-1].text}")]


app = StreamFunctionApp([Agent(client=ScriptedChatClient(script, token_interval_s=0.0), name="Robot")])
