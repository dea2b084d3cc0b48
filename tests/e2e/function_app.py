"""An app that tells stories, for workers in processes of their own: one with `HANG` set stops in the middle."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from agent_framework import Agent

from streamsink.demo.scripted import Pause, Reply, ScriptedChatClient, Text
from streamsink.hosts.functions import StreamFunctionApp
from tests.e2e.world import story

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent_framework import Message


async def for_ever() -> None:
    await asyncio.Event().wait()


def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
    """A story about what was said."""
    told = story(messages[-1].text)
    return [Text(told[: len(told) // 2]), Pause(for_ever)] if "HANG" in os.environ else [Text(told)]


app = StreamFunctionApp([Agent(client=ScriptedChatClient(script, token_interval_s=0.005), name="Robot")])
