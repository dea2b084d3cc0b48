"""Publishing from code without an event loop: Celery workers, scripts.

::

    with SyncSink(make_sink) as sink, sink.run(thread) as run:
        run.text("…")
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from streamsink.core.errors import UnavailableError
from streamsink.core.events import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from streamsink.core.publishing import RunPublisher
    from streamsink.core.sink import StreamSink

__all__ = ["SyncSink"]

_T = TypeVar("_T")

# Longer than anything that a sink does on its own; a loop that does not answer by then is stuck.
_CALL_S: Final = 120.0


class SyncSink:
    """A sink on an event loop of its own, in a thread that ends with it. May be used from several threads.

    Args:
        make_sink: makes the sink, on that loop.
    """

    def __init__(self, make_sink: Callable[[], StreamSink]) -> None:
        self._make_sink = make_sink
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="streamsink", daemon=True)
        self._sink: StreamSink | None = None

    def __enter__(self) -> Self:
        self._thread.start()
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
            yield publisher
        except BaseException as error:
            self._call(publisher.__aexit__(type(error), error, error.__traceback__))
            raise
        self._call(publisher.__aexit__(None, None, None))

    async def _begin(self, thread: str, agent: str, message: str | None) -> RunPublisher:
        publisher = self._open_sink.run(thread, agent=agent, message=message)
        await publisher.begin()
        return publisher

    def publish(
        self, thread: str, source: Iterable[Any], *, agent: str = "agent", message: str | None = None
    ) -> Terminal:
        """As ``StreamSink.publish``; ``source`` is read in the calling thread, and stopped when the run should end.

        Raises:
            Exception: whatever ``source`` raises, after the run's ``failed`` terminal has been written.
        """
        with self.run(thread, agent=agent, message=message) as run:
            for update in source:
                if run.cancelled.is_set():
                    self._call(run.finish("cancelled"))
                    break
                run.update(update)
        return run.terminal or Terminal("completed")

    @property
    def _open_sink(self) -> StreamSink:
        if self._sink is None:
            raise UnavailableError("this sink is not open: use it inside `with SyncSink(…) as sink`")
        return self._sink

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)

    def __exit__(self, *exc_info: object) -> None:
        try:
            if self._sink is not None:
                self._call(self._sink.aclose())
        finally:
            self._sink = None
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
