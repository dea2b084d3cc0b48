"""What a `function_app.py` is, for workers in processes of their own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from streamsink.demo.scripted import Pause, Reply
from tests.functions_platform.apps import create_app, echo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent_framework import Message


async def for_ever() -> None:
    await asyncio.Event().wait()


def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
    """Echo; a process with `HANG` set never comes to its end."""
    return [Pause(for_ever)] if "HANG" in os.environ else echo(messages, options)


app = create_app(script)
