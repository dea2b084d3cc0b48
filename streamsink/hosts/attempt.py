"""One execution of a wrapped agent: published from its first update to its terminal."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent_framework import AgentResponse, AgentResponseUpdate, AgentSession, ResponseStream, SupportsAgentRun

from streamsink.core.errors import AttemptFailedError, StreamSinkError
from streamsink.core.events import Status, Terminal
from streamsink.core.runtime import run_unless
from streamsink.hosts.failures import frames
from streamsink.hosts.history import settle_session, settled
from streamsink.hosts.responses import encode_response, stored_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    from streamsink.core.publishing import RunPublisher
    from streamsink.core.runs import RunRequest
    from streamsink.core.sink import StreamSink

__all__ = ["Attempt", "RunScope", "current_scope", "run_scope"]

_log = logging.getLogger("streamsink")

# How far the reader of a streamed run may fall behind the agent before it slows the agent down.
_MAX_UNREAD_UPDATES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RunScope:
    """An accepted run that somebody executes.

    Args:
        keep: keeps what the agent remembers, when the attempt has not failed: before the terminal is written, since
            that lets the next turn begin.
    """

    thread: str
    request: RunRequest
    keep: Callable[[], Awaitable[None]] | None = None


_scope: contextvars.ContextVar[RunScope | None] = contextvars.ContextVar("streamsink_run_scope", default=None)


def current_scope() -> RunScope | None:
    """The run that an agent called here should execute."""
    return _scope.get()


@contextmanager
def run_scope(scope: RunScope | None) -> Iterator[None]:
    """Say which accepted run the agent called inside executes."""
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


class Attempt:
    """One execution.

    Args:
        inner: the agent, with what it is asked.
        time_limit_s: seconds that it may take; it then fails with ``time_limit``.
        leave_open: whoever asks runs a failed attempt again: it writes no terminal, and raises what it failed with.
    """

    def __init__(
        self,
        inner: SupportsAgentRun,
        sink: StreamSink,
        scope: RunScope,
        messages: Any,
        session: AgentSession | None,
        kwargs: dict[str, Any],
        time_limit_s: float | None,
        *,
        leave_open: bool = False,
    ) -> None:
        self._inner = inner
        self._sink = sink
        self._scope = scope
        self._messages = messages
        self._session = session
        self._kwargs = kwargs
        self._time_limit_s = time_limit_s
        self._leave_open = leave_open
        self._left_open = False
        self._updates: list[AgentResponseUpdate] = []
        self._response: AgentResponse[Any] | None = None

    async def execute(self, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]) -> AgentResponse[Any]:
        """Run to the terminal and answer with the response; every update passes through ``on_update``."""
        run = self._sink.run(self._scope.thread, request=self._scope.request)
        try:
            with run_scope(None):  # agents that this one calls are part of its run
                async with run:
                    if run.terminal is not None:
                        self._response = _ended(run.terminal)
                    else:
                        self._response = await self._publish(run, on_update)
        except Exception as error:
            if self._left_open or isinstance(error, AttemptFailedError):
                raise
            if isinstance(error, StreamSinkError) and not run.attempt:
                raise  # nothing was executed, so it may be tried again
            _log.warning("run %s failed: %s", run.correlation_id, frames(error))
            raise AttemptFailedError("the agent did not complete its answer") from error
        return self._response

    async def _publish(
        self, run: RunPublisher, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]
    ) -> AgentResponse[Any]:
        limit = asyncio.timeout(self._time_limit_s)
        try:
            async with limit:
                completed = await run_unless(run.cancelled, self._follow(run, on_update))
        except Exception:
            if self._leave_open:
                await self._sink.interrupt(run.thread, run.correlation_id, run.attempt)
                self._left_open = True
            elif limit.expired():  # a TimeoutError of the agent's own is as any other failure
                await run.finish("failed", code="time_limit", message="The answer took too long.")
            raise
        response = self._response or AgentResponse.from_updates(self._updates)
        if completed:
            return await self._end(run, "completed", response, text=response.text)
        settle_session(self._session)
        return await self._end(run, "cancelled", settled(response))

    async def _end(
        self, run: RunPublisher, status: Status, response: AgentResponse[Any], *, text: str | None = None
    ) -> AgentResponse[Any]:
        if self._scope.keep is not None and run.open:  # it has not been ended elsewhere
            await self._scope.keep()
        stored = encode_response(response.text, response.to_dict())
        terminal = await run.finish(status, text=text, response=stored)
        return response if terminal == Terminal(status, None, stored) else _stored(terminal)

    async def _follow(self, run: RunPublisher, on_update: Callable[[AgentResponseUpdate], Awaitable[None]]) -> None:
        stream: Any = None
        try:
            stream = await self._open_stream()
            if isinstance(stream, AgentResponse):
                self._response = await self._say(stream, run, on_update)
                return
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
            # Nothing has been said or done yet, so the agent may be asked again.
            response = await self._inner.run(self._messages, session=self._session, **self._kwargs)
            self._response = await self._say(response, run, on_update)
        else:
            self._response = await _final_response(stream, self._updates)
        finally:
            await _close(stream)

    async def _open_stream(self) -> Any:
        stream: Any = self._inner.run(self._messages, stream=True, session=self._session, **self._kwargs)
        return stream if hasattr(stream, "__aiter__") else await stream

    async def _say(
        self,
        response: AgentResponse[Any],
        run: RunPublisher,
        on_update: Callable[[AgentResponseUpdate], Awaitable[None]],
    ) -> AgentResponse[Any]:
        """The whole answer of an agent that cannot stream, at once."""
        for update in response.to_updates():
            self._updates.append(update)
            run.update(update)
            await on_update(update)
        return response

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


async def _close(stream: Any) -> None:
    """End what the agent still holds open. Idempotent."""
    close = getattr(stream, "close" if isinstance(stream, ResponseStream) else "aclose", None)
    if close is not None:
        await close()


def _means_no_streaming(error: Exception) -> bool:
    return isinstance(error, NotImplementedError) or any(
        word in str(error) for word in ("'stream'", "__aiter__", "async for")
    )


def _ended(terminal: Terminal) -> AgentResponse[Any]:
    """The answer of a run that was over before this attempt."""
    if terminal.status == "failed":
        raise AttemptFailedError("the run is over, and has failed")
    return _stored(terminal)


def _stored(terminal: Terminal) -> AgentResponse[Any]:
    stored = stored_response(terminal)
    return AgentResponse(messages=[]) if stored is None else AgentResponse.from_dict(stored)
