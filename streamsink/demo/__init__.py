"""The demo that `streamsink serve` runs unless told otherwise: a TravelPlanner on Microsoft Agent Framework.

Without any settings it works offline: a scripted chat client drives the real framework, with tools, an
approval and a conversation that remembers. With `OPENAI_API_KEY` and a model name, or their `AZURE_OPENAI_*`
sisters, a real model answers instead; `chat_clients` names the variables.

`scripted.ScriptedChatClient` is also the fake model of this project's tests, and may be that of yours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.demo.errors import DemoSetupError

if TYPE_CHECKING:
    from agent_framework import Agent

__all__ = ["DemoSetupError", "agents"]


def agents() -> list[Agent[Any]]:
    """Return the demo's agents, for `streamsink serve streamsink.demo:agents`.

    Raises: `DemoSetupError` when the framework is not installed or the environment names a model by halves.
    """
    try:
        from streamsink.demo.travel_planner import create_agent
    except ModuleNotFoundError as exc:
        if exc.name != "agent_framework":
            raise
        raise DemoSetupError("The demo needs Agent Framework: pip install 'streamsink[demo]'") from exc
    return [create_agent()]
