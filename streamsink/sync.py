"""Publishing from code without an event loop: Celery workers, scripts.

::

    with SyncSink(make_sink) as sink, sink.run(thread) as run:
        run.text("…")
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from streamsink.core.errors import InvalidRequestError, StreamSinkError, UnavailableError
from streamsink.core.events import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from streamsink.core.publishing import RunPublisher
    from streamsink.core.sink import StreamSink

__all__ = ["SyncSink"]

_T = TypeVar("_T")

# Longer than anything that a sink does on its own; a loop that does not answer by then is stuck.
_CALL_S: Final = 120.0
_NOT_OPEN: Final = "this sink is not open: use it inside `with SyncSink(…) as sink`"


class SyncSink:
    """A sink on an event loop of its own, in a thread that ends with it. May be used from several threads.

    Closing it while a run is open leaves that run to be swept; whoever publishes it gets ``UnavailableError``.

    Args:
        make_sink: makes the sink, on that loop.
    """

    def __init__(self, make_sink: Callable[[], StreamSink]) -> None:
        self._make_sink = make_sink
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="streamsink", daemon=True)
        self._sink: StreamSink
        self._lock = threading.Lock()
        self._is_open = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_open = True
        try:
            self._sink = self._call(self._make())
        except BaseException:
            self._stop()
            raise
        return self

    async def _make(self) -> StreamSink:
        return self._make_sink()

    @contextmanager
    def run(self, thread: str, *, agent: str = "agent", message: str | None = None) -> Iterator[RunPublisher]:
        """As ``StreamSink.run``, as a plain context manager.

        Raises:
            StreamSinkError: as ``StreamSink.run``.
        """
        publisher = self._call(self._begin(thread, agent, message))
        try:
            with publisher.as_current():
                yield publisher
        except BaseException as error:
            with suppress(StreamSinkError):  # the body's own error goes on
                self._call(publisher.__aexit__(type(error), error, error.__traceback__))
            raise
        self._call(publisher.__aexit__(None, None, None))

    async def _begin(self, thread: str, agent: str, message: str | None) -> RunPublisher:
        publisher = self._sink.run(thread, agent=agent, message=message)
        await publisher.begin()
        return publisher

    def publish(
        self, thread: str, source: Iterable[Any], *, agent: str = "agent", message: str | None = None
    ) -> Terminal:
        """As ``StreamSink.publish``; ``source`` is read in the calling thread, and stopped when the run should end.

        Raises:
            InvalidRequestError: ``source`` is no iterable but, for example, asynchronous; no run has been accepted.
            Exception: whatever ``source`` raises, after the run's ``failed`` terminal has been written.
        """
        _check(source)
        with self.run(thread, agent=agent, message=message) as run:
            for update in source:
                if run.cancelled.is_set():
                    self._call(run.finish("cancelled"))
                    break
                run.update(update)
        return run.terminal or Terminal("completed")

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        with self._lock:
            if not self._is_open:
                work.close()
                raise UnavailableError(_NOT_OPEN)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_CALL_S)
        except concurrent.futures.CancelledError:
            raise UnavailableError("this sink was closed meanwhile") from None

    def __exit__(self, *exc_info: object) -> None:
        if not self._is_open:
            return
        try:
            self._call(self._sink.aclose())
        finally:
            self._stop()

    def _stop(self) -> None:
        with self._lock:  # nothing is handed to the loop after what ends it
            self._is_open = False
            ending = asyncio.run_coroutine_threadsafe(self._end_calls(), self._loop)
        ending.result(_CALL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_calls(self) -> None:
        """Cancel what other threads still wait for."""
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def _check(source: object) -> None:
    if isinstance(source, Iterable):
        return
    if inspect.iscoroutine(source):
        source.close()  # Python warns of one that nobody awaits
    raise InvalidRequestError(
        f"SyncSink publishes what a plain `for` reads, and was given a value of type {type(source).__name__}: pass a "
        "list or a generator; publish what is asynchronous with `await sink.publish(…)` of a sink on an event loop"
    )
