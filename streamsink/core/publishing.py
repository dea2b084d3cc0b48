"""Publishing one run: accepted, begun, said, and ended in exactly one terminal."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from streamsink.core import utf16
from streamsink.core.appender import begin_run
from streamsink.core.coalescer import Coalescer
from streamsink.core.drafts import Draft, TextDraft, Texts, data_draft
from streamsink.core.errors import RunClosedError, StreamOverflowError, ThreadDeletedError
from streamsink.core.events import AGENT_CUSTOM, AGENT_DONE, AGENT_MESSAGE, Status, Terminal
from streamsink.core.failures import explain
from streamsink.core.names import THREAD_ID
from streamsink.core.pump import Pump
from streamsink.core.runs import RunRequest
from streamsink.core.updates import UpdateReader, plain
from streamsink.core.user_messages import user_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamsink.core.sink import StreamSink

__all__ = ["RunPublisher", "current_run"]

_log = logging.getLogger("streamsink")


_current: contextvars.ContextVar[RunPublisher] = contextvars.ContextVar("streamsink_current_run")


def current_run() -> RunPublisher:
    """The run that is being published around the caller, for example from inside a tool.

    Raises:
        LookupError: there is none.
    """
    return _current.get()


class RunPublisher:
    """One attempt at one run, as an async context manager.

    ``update``, ``text`` and ``emit`` are plain calls that neither block nor await, and may come from any thread.

    Attributes:
        correlation_id: the run's id.
        terminal: how the run ended; set on entering when it was over before (nothing may be published then).
        cancelled: set, on the sink's loop, when the run should end: somebody asked for it, or it ended elsewhere.
    """

    def __init__(
        self, sink: StreamSink, thread: str, *, request: RunRequest | None, agent: str, message: str | None
    ) -> None:
        self._sink = sink
        self.thread: str = THREAD_ID.validate(thread)
        self._request = request or self._describe(sink, thread, agent, message)
        self.correlation_id: str = self._request.correlation_id
        self._attempt = 0
        self.terminal: Terminal | None = None
        self.cancelled: asyncio.Event = asyncio.Event()
        self._lock = threading.Lock()
        self._texts = Texts()
        self._reader = UpdateReader(self._texts)
        self._said: dict[str, list[str]] = {}
        self._pump: Pump | None = None
        self._closed: BaseException | None = None
        self._token: contextvars.Token[RunPublisher] | None = None

    @staticmethod
    def _describe(sink: StreamSink, thread: str, agent: str, message: str | None) -> RunRequest:
        correlation_id = sink.runtime.new_id()
        record = None if message is None else user_message(sink, thread, correlation_id, agent, message)
        return RunRequest(correlation_id=correlation_id, agent_name=agent, message=record, lease_s=sink.options.lease_s)

    @property
    def open(self) -> bool:
        """Whether something can be published."""
        return self._pump is not None and self._closed is None

    @property
    def attempt(self) -> int:
        """This attempt's number, from 1; 0 before it has begun. Another one follows when the store loses events."""
        return self._attempt if self._pump is None else self._pump.attempt

    def _streamed_text(self) -> str:
        return "".join(part for parts in self._said.values() for part in parts)

    async def __aenter__(self) -> Self:
        """Begin, and be the ``current_run`` inside. Raises as ``begin``."""
        await self.begin()
        if self._pump is not None:
            self._token = _current.set(self)
        return self

    @contextmanager
    def as_current(self) -> Iterator[None]:
        """Be the ``current_run`` inside, for callers that cannot use ``async with``."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    async def begin(self) -> None:
        """Accept the run unless it was, and begin an attempt; for callers that cannot use ``async with``.

        ``finish`` must follow.

        Raises:
            StreamSinkError: as ``Timeline.accept_run`` and ``Timeline.begin_attempt``; UnavailableError when the store
                could not be reached for ``PublishOptions.give_up_s``.
        """
        self._request, attempt = await begin_run(self._sink, self.thread, self._request)
        self.correlation_id = self._request.correlation_id
        self._attempt, self.terminal = attempt.number, attempt.terminal
        if attempt.terminal is None:
            self._start()
        if attempt.cancel or attempt.terminal is not None:
            self.cancelled.set()

    def _start(self) -> None:
        options = self._sink.options
        coalescer = Coalescer(window_s=options.window_s, max_bytes=options.max_buffer_bytes, pacer=options.pacer)
        self._pump = Pump(
            self._sink,
            self.thread,
            self._request,
            self._attempt,
            coalescer,
            self._lock,
            self._stop,
        )

    def _stop(self, reason: BaseException | None) -> None:
        if reason is not None:
            self._closed = reason
        self.cancelled.set()

    def update(self, update: Any) -> None:
        """Publish one update of an agent (or a string).

        Raises:
            RunClosedError: the run is over.
            StreamOverflowError: more is waiting than may; the run will end ``failed``.
        """
        with self._lock:
            for draft in self._reader.read(update, at_ms=self._sink.runtime.now_ms()):
                self._push(draft)
        self._opened.wake()

    def text(self, text: str) -> None:
        """Publish a piece of the answer's text. Raises as ``update``."""
        self.update(text)

    def emit(self, name: str, data: Any = None) -> None:
        """Publish an event of the application's own, for example a tool's progress. Raises as ``update``.

        Args:
            data: anything that JSON can say.
        """
        with self._lock:
            fields = {"name": name, "data": data}
            self._push(data_draft(AGENT_CUSTOM, plain(fields), at_ms=self._sink.runtime.now_ms()))
        self._opened.wake()

    def _push(self, draft: Draft) -> None:
        if self._closed is not None:
            raise self._closed
        try:
            self._opened.push(draft)
        except StreamOverflowError as overflow:
            self._closed = overflow
            raise
        if isinstance(draft, TextDraft) and draft.target == AGENT_MESSAGE:
            if draft.mode == "replace":
                self._said[draft.key] = []
            self._said.setdefault(draft.key, []).extend(draft.parts)

    @property
    def _opened(self) -> Pump:
        if self._pump is None:
            raise RunClosedError("this run is not open: publish inside `async with sink.run(…)`")
        return self._pump

    async def finish(
        self,
        status: Status = "completed",
        *,
        text: str | None = None,
        code: str | None = None,
        message: str = "",
        response: bytes | None = None,
    ) -> Terminal:
        """End the run. The first terminal counts; this returns the one that was written. A run that has said too
        much ends ``failed``, whatever is asked for.

        Args:
            text: the final text, when it may differ from what was streamed.
            code, message: of a failure: for programs, for people.
            response: the whole response, stored for whoever runs this run again.

        Raises:
            RunClosedError: the run has not begun.
            UnavailableError: the terminal could not be written in time; a sweep will write one.
        """
        if self.terminal is not None:
            return self.terminal
        pump = self._opened
        with self._lock:
            if isinstance(self._closed, StreamOverflowError):
                status, (code, message) = "failed", explain(self._closed)
            self._closed = self._closed or RunClosedError("the run is over")
            fields = self._done_fields(status, text, code, message)
        draft = data_draft(AGENT_DONE, plain(fields), at_ms=self._sink.runtime.now_ms())
        self.terminal = await pump.finish(draft, Terminal(status, code, response))
        return self.terminal

    def _done_fields(self, status: Status, text: str | None, code: str | None, message: str) -> dict[str, Any]:
        fields: dict[str, Any] = {"status": status}
        if code is not None:
            fields["error"] = {"code": code, "message": message}
        if text is not None and (text := utf16.clean(text)) != self._streamed_text():
            fields["text"] = text
        if self._reader.usage:
            fields["usage"] = self._reader.usage
        return fields

    async def __aexit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        """Write the terminal, unless ``finish`` did. When that fails, an exception of the body still goes on."""
        token, self._token = self._token, None
        if token is not None:
            with suppress(ValueError):  # left in another context than it was entered in
                _current.reset(token)
        if self.terminal is not None:
            return
        try:
            await self._end(exc)
        except Exception as failure:
            if exc is None:
                raise
            if not isinstance(failure, ThreadDeletedError):
                _log.error("the end of run %s was not written: %s", self.correlation_id, type(failure).__name__)

    async def _end(self, exc: BaseException | None) -> None:
        if exc is None:
            await self.finish("completed")
        elif isinstance(exc, asyncio.CancelledError) and self.cancelled.is_set():
            await self.finish("cancelled")
        else:
            code, message = explain(exc)
            await self.finish("failed", code=code, message=message)
