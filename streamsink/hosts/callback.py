"""Agent Framework's response callback, for hosts whose agents cannot be wrapped.

The framework awaits the callback for each update, says nothing when an agent fails, and may run an agent twice
(agent-framework-azurefunctions 1.0.0b260922). The wrapper (``streamsink.hosts.agents``) knows more; prefer it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from streamsink.core.runs import RunRequest
from streamsink.hosts.responses import encode_response

if TYPE_CHECKING:
    from streamsink.core.publishing import RunPublisher
    from streamsink.core.sink import StreamSink

__all__ = ["CallbackContext", "StreamCallback"]


class CallbackContext(Protocol):
    """What the framework says about a run (``AgentCallbackContext``)."""

    agent_name: str
    correlation_id: str
    session_id: str | None


@dataclass(slots=True)
class _Open:
    run: RunPublisher
    heard_at: float
    watch: asyncio.Task[None] = field(init=False)


class StreamCallback:
    """Publishes what the framework reports (``AgentResponseCallbackProtocol``).

    A run that is silent for ``silence_s`` is taken for failed, since nobody says that it is: it ends ``failed``
    with ``producer_lost``.

    Args:
        sink: where to publish; of the loop that the framework calls on.
        silence_s: longer than the agent's slowest tool, in seconds.
    """

    def __init__(self, sink: StreamSink, *, silence_s: float = 300.0) -> None:
        self._sink = sink
        self._silence_s = silence_s
        self._open: dict[str, _Open] = {}

    async def on_streaming_response_update(self, update: Any, context: CallbackContext) -> None:
        """One update of a streamed run."""
        entry = await self._entry(context)
        if entry.run.open:
            entry.run.update(update)

    async def on_agent_response(self, response: Any, context: CallbackContext) -> None:
        """The final response, of a streamed run or of one that was run again without streaming."""
        entry = await self._entry(context)
        del self._open[context.correlation_id]
        entry.watch.cancel()
        stored = encode_response(response.text, response.to_dict())
        await entry.run.finish("completed", text=response.text, response=stored)

    async def _entry(self, context: CallbackContext) -> _Open:
        now = asyncio.get_running_loop().time()
        entry = self._open.get(context.correlation_id)
        if entry is None:
            entry = _Open(self._publisher(context), now)
            await entry.run.begin()
            self._open[context.correlation_id] = entry
            entry.watch = self._sink.tasks.start(self._watch(context.correlation_id, entry), name="streamsink watch")
        entry.heard_at = now
        return entry

    def _publisher(self, context: CallbackContext) -> RunPublisher:
        request = RunRequest(correlation_id=context.correlation_id, agent_name=context.agent_name)
        return self._sink.run(context.session_id or context.correlation_id, request=request)

    async def _watch(self, correlation_id: str, entry: _Open) -> None:
        now = asyncio.get_running_loop().time
        # Every update moves it: one timer for a whole answer.
        while (left_s := entry.heard_at + self._silence_s - now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left_s)
        del self._open[correlation_id]
        message = "The answer was interrupted and could not be completed."
        await entry.run.finish("failed", code="producer_lost", message=message)
