"""The one seam for agents: a wrapper that publishes every execution of the agent it wraps.

Each ``run()`` is one attempt at a run. The wrapper sees starts, updates, failures and repetitions, and ends a
stream cleanly when somebody cancels: the partial answer stays in the history.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_framework import AgentResponse, AgentResponseUpdate, AgentSession, ResponseStream, SupportsAgentRun

from streamsink.core.errors import AttemptFailedError, StreamSinkError
from streamsink.core.runtime import run_unless
from streamsink.core.timeline import RunRequest
from streamsink.hosts.history import settle_session, settled
from streamsink.hosts.responses import encode_response, stored_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    from streamsink.core.events import Terminal
    from streamsink.core.publishing import RunPublisher
    from streamsink.core.sink import StreamSink

__all__ = ["StreamingAgent", "run_scope"]

_log = logging.getLogger("streamsink")

# How far the reader of a streamed run may fall behind the agent before it slows the agent down.
_MAX_UNREAD_UPDATES = 1_000


@dataclass(frozen=True, slots=True)
class _Scope:
    thread: str
    request: RunRequest


_scope: contextvars.ContextVar[_Scope | None] = contextvars.ContextVar("streamsink_run_scope", default=None)


@contextmanager
def run_scope(thread: str, request: RunRequest) -> Iterator[None]:
    """Say which accepted run the agents called inside are executing."""
    token = _scope.set(_Scope(thread, request))
    try:
        yield
    finally:
        _scope.reset(token)


class StreamingAgent:
    """An agent (``SupportsAgentRun``) that publishes what the wrapped agent does.

    The run is the one of the surrounding ``run_scope``; without one, a new run on the thread that the session's id
    names; without a session nothing is published.

    A failing attempt raises ``AttemptFailedError`` after its terminal has been written.

    Args:
        inner: the agent.
        sink: where to publish.
        time_limit_s: seconds that one attempt may take; it then fails with ``time_limit``.
    """

    def __init__(self, inner: SupportsAgentRun, sink: StreamSink, *, time_limit_s: float | None = None) -> None:
        self.inner = inner
        self._sink = sink
        self._time_limit_s = time_limit_s
        self.id: str = inner.id
        self.name: str | None = inner.name
        self.description: str | None = inner.description

    def create_session(self, *, session_id: str | None = None) -> AgentSession:
        """A session of the wrapped agent."""
        return self.inner.create_session(session_id=session_id)

    def get_session(self, service_session_id: Any, *, session_id: str | None = None) -> AgentSession:
        """A session of the wrapped agent that its service keeps."""
        return self.inner.get_session(service_session_id, session_id=session_id)

    def run(
        self,
        messages: Any = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,
        **kwargs: Any,
    ) -> Any:
        """As ``SupportsAgentRun.run``."""
        scope = _scope.get() or self._scope_of(session)
        if scope is None:
            return self.inner.run(messages, stream=stream, session=session, **kwargs)  # type: ignore[call-overload]
        attempt = _Attempt(self.inner, self._sink, scope, messages, session, kwargs, self._time_limit_s)
        if stream:
            return ResponseStream(attempt.updates(), finalizer=attempt.final)
        return attempt.execute(_ignore)

    def _scope_of(self, session: AgentSession | None) -> _Scope | None:
        if session is None:
            return None
        name = self.name or self.id
        return _Scope(session.session_id, RunRequest(correlation_id=self._sink.runtime.new_id(), agent_name=name))


async def _ignore(update: AgentResponseUpdate) -> None:
    return


class _Attempt:
    """One execution of the wrapped agent."""

    def __init__(
        self,
        inner: SupportsAgentRun,
        sink: StreamSink,
        scope: _Scope,
        messages: Any,
        session: AgentSession | None,
        kwargs: dict[str, Any],
        time_limit_s: float | None,
    ) -> None:
        self._inner = inner
        self._sink = sink
        self._scope = scope
        self._messages = messages
        self._session = session
        self._kwargs = kwargs
        self._time_limit_s = time_limit_s
        self._updates: list[AgentResponseUpdate] = []
        self._response: AgentResponse[Any] | None = None

    async def execute(self, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]) -> AgentResponse[Any]:
        """Run to the terminal and answer with the response; every update passes through ``on_update``."""
        run = self._sink.run(self._scope.thread, request=self._scope.request)
        try:
            async with run:
                if run.terminal is not None:
                    self._response = _stored(run.terminal)
                else:
                    self._response = await self._publish(run, on_update)
        except StreamSinkError:
            raise
        except Exception as error:
            # The text of a provider's error may quote a prompt; its type may not.
            _log.warning("run %s failed: %s", run.correlation_id, type(error).__name__)
            raise AttemptFailedError("the agent did not complete its answer") from error
        return self._response

    async def _publish(
        self, run: RunPublisher, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]
    ) -> AgentResponse[Any]:
        async with asyncio.timeout(self._time_limit_s):
            completed = await run_unless(run.cancelled, self._follow(run, on_update))
        if completed and self._response is not None:
            response = self._response
            await run.finish("completed", text=response.text, response=_encoded(response))
            return response
        response = settled(self._response or AgentResponse.from_updates(self._updates))
        settle_session(self._session)
        await run.finish("cancelled", response=_encoded(response))
        return response

    async def _follow(self, run: RunPublisher, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]) -> None:
        stream: Any = None
        try:
            stream = await self._open_stream()
            async for update in stream:
                self._updates.append(update)
                run.update(update)
                await on_update(update)
        except asyncio.CancelledError:
            if run.cancelled.is_set():
                self._response = await _keep_partial(stream)
            raise
        except (TypeError, NotImplementedError, AttributeError) as error:
            if self._updates or not _means_no_streaming(error):
                raise
            await self._without_streaming(run, on_update)
        else:
            self._response = await _final_response(stream, self._updates)

    async def _open_stream(self) -> Any:
        stream: Any = self._inner.run(self._messages, stream=True, session=self._session, **self._kwargs)
        return stream if hasattr(stream, "__aiter__") else await stream

    async def _without_streaming(
        self, run: RunPublisher, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]
    ) -> None:
        """The agent cannot stream: nothing has been said or done yet, so its whole answer is published at once."""
        response = await self._inner.run(self._messages, session=self._session, **self._kwargs)
        for update in response.to_updates():
            self._updates.append(update)
            run.update(update)
            await on_update(update)
        self._response = response

    async def updates(self) -> AsyncGenerator[AgentResponseUpdate, None]:
        """The updates, for a caller that streams. Closing the generator ends the attempt."""
        queue: asyncio.Queue[AgentResponseUpdate | None] = asyncio.Queue(_MAX_UNREAD_UPDATES)
        task = self._sink.tasks.start(self._feed(queue), name="streamsink attempt")
        try:
            while (update := await queue.get()) is not None:
                yield update
            await task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _feed(self, queue: asyncio.Queue[AgentResponseUpdate | None]) -> None:
        try:
            await self.execute(queue.put)
        except asyncio.CancelledError:
            while queue.full():  # whoever cancelled reads no more
                queue.get_nowait()
            queue.put_nowait(None)
            raise
        except Exception:
            await queue.put(None)
            raise
        await queue.put(None)

    def final(self, updates: Sequence[AgentResponseUpdate]) -> AgentResponse[Any]:
        """The response; of an attempt that was ended early, what had been said by then."""
        return self._response or settled(AgentResponse.from_updates(updates))


async def _final_response(stream: Any, updates: Sequence[AgentResponseUpdate]) -> AgentResponse[Any]:
    if isinstance(stream, ResponseStream):
        response: AgentResponse[Any] = await stream.get_final_response()
        return response
    return AgentResponse.from_updates(updates)


async def _keep_partial(stream: Any) -> AgentResponse[Any] | None:
    """Close a stream that somebody cancelled, so that the framework's history keeps what it said.

    After ``close`` the final response is made of the updates seen; nothing is asked of the model.
    """
    if not isinstance(stream, ResponseStream):
        return None
    await stream.close()
    response: AgentResponse[Any] = await stream.get_final_response()
    return response


def _means_no_streaming(error: Exception) -> bool:
    return isinstance(error, NotImplementedError) or any(
        word in str(error) for word in ("'stream'", "__aiter__", "async for")
    )


def _encoded(response: AgentResponse[Any]) -> bytes:
    return encode_response(response.text, response.to_dict())


def _stored(terminal: Terminal) -> AgentResponse[Any]:
    stored = stored_response(terminal)
    return AgentResponse(messages=[]) if stored is None else AgentResponse.from_dict(stored)
