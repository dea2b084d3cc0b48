"""``StreamSink``: a timeline and a delivery put together; what hosts and publishers hold."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeVar

from streamsink.core.delivery import Delivery
from streamsink.core.options import PublishOptions
from streamsink.core.publishing import RunPublisher
from streamsink.core.runtime import Runtime, TaskOwner
from streamsink.core.sources import publish
from streamsink.core.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from streamsink.core.events import Terminal
    from streamsink.core.runs import Appended, Batch, RunRequest

__all__ = ["StreamSink"]

_Ability = TypeVar("_Ability")


class StreamSink(Timeline, Delivery):
    """Carries agents' events to groups, one group per thread.

    A sink belongs to the event loop that it was made on. It is an async context manager that closes itself.

    Args:
        options: how runs are published here.
        runtime: time, ids and randomness.
    """

    def __init__(self, *, options: PublishOptions | None = None, runtime: Runtime | None = None) -> None:
        self.options: PublishOptions = options or PublishOptions()
        self.runtime: Runtime = runtime or Runtime()
        self.tasks: TaskOwner = TaskOwner()
        self._listeners: dict[tuple[str, str], set[Callable[[], None]]] = {}

    @abstractmethod
    async def send(self, thread: str, batch: Batch) -> Appended:
        """Append a batch, then deliver it. Returns once it is appended and its first delivery has been tried;
        a delivery that failed is tried again in the background.

        Raises:
            StreamSinkError: as ``Timeline.append``; a failed delivery is not an error of this call.
        """

    async def flush(self, thread: str, *, timeout_s: float) -> bool:
        """Wait until everything that was appended to the thread here has been delivered or given up: True; False when
        ``timeout_s`` has passed first. For hosts whose process may be stopped once they have answered."""
        return True

    @abstractmethod
    def ability(self, kind: type[_Ability]) -> _Ability | None:
        """The part of this sink that can do what ``kind`` describes, or None. Hosts ask at start-up."""

    def run(
        self,
        thread: str,
        *,
        agent: str = "agent",
        message: str | None = None,
        request: RunRequest | None = None,
    ) -> RunPublisher:
        """A run to publish to: ``async with sink.run(thread) as run: run.text("…")``.

        Entering accepts the run and begins an attempt; leaving writes exactly one terminal: ``completed``, or
        ``failed`` when the body raised.

        Args:
            agent: who speaks.
            message: what the user said, shown before the answer. Within ``PublishOptions.max_event_bytes``.
            request: an accepted run to execute, or the full description of a new one; then ``agent`` and
                ``message`` are not looked at.

        Raises:
            InvalidRequestError: ``thread`` is no thread id, or ``message`` is too large.
        """
        return RunPublisher(self, thread, request=request, agent=agent, message=message)

    def on_cancel(self, thread: str, correlation_id: str, stop: Callable[[], None]) -> Callable[[], None]:
        """Have ``stop`` called when somebody cancels the run through this very sink; answers how to end that.

        A short cut for producers of this process: all others hear of it by their next append or renewal.
        """
        listeners = self._listeners.setdefault((thread, correlation_id), set())
        listeners.add(stop)

        def unlisten() -> None:
            listeners.discard(stop)
            if not listeners:
                self._listeners.pop((thread, correlation_id), None)

        return unlisten

    def tell_cancelled(self, thread: str, correlation_ids: Iterable[str]) -> None:
        """Tell this process's producers of these runs."""
        for correlation_id in correlation_ids:
            for stop in tuple(self._listeners.get((thread, correlation_id), ())):
                stop()

    async def publish(
        self,
        thread: str,
        source: AsyncIterable[Any] | Iterable[Any],
        *,
        agent: str = "agent",
        message: str | None = None,
    ) -> Terminal:
        """Publish a whole stream of agent updates or strings as one run; returns how it ended.

        When the run is cancelled the stream is closed; an agent's is then asked for its final response, so that the
        agent's history keeps what was said.

        Raises:
            InvalidRequestError: ``source`` is no stream, as of ``agent.run(…)`` without ``stream=True``.
            Exception: whatever ``source`` raises, after the run's ``failed`` terminal has been written.
        """
        return await publish(self.run(thread, agent=agent, message=message), source)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
