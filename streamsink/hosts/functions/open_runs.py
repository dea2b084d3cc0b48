"""How many runs a user has open, as far as this process has started them."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from streamsink.core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from streamsink.core.sink import StreamSink

__all__ = ["OpenRuns"]


class OpenRuns:
    """Bounds them. Whether a run has ended is looked up only when it matters: other processes execute it.

    Args:
        max_per_user: over all threads.
        max_runs: of everybody.
    """

    def __init__(self, sink: StreamSink, *, max_per_user: int, max_runs: int) -> None:
        self._sink = sink
        self._max_per_user = max_per_user
        self._max_runs = max_runs
        self._runs: dict[str, set[tuple[str, str]]] = {}
        self._reserved: list[str] = []

    @asynccontextmanager
    async def reserve(self, user_id: str) -> AsyncIterator[None]:
        """Keep room for one more run.

        Raises:
            BusyError: there is none.
        """
        if self._count(user_id) >= self._max_per_user:
            await self._look(user_id)
        if self._total() >= self._max_runs:
            for each in list(self._runs):
                await self._look(each)
        if self._count(user_id) >= self._max_per_user:
            raise BusyError(f"{self._max_per_user} of your runs are open; wait for one to end")
        if self._total() >= self._max_runs:
            raise BusyError("this host has as many open runs as it may; try again later")
        with self._counted(user_id):
            yield

    @contextmanager
    def _counted(self, user_id: str) -> Iterator[None]:
        self._reserved.append(user_id)
        try:
            yield
        finally:
            self._reserved.remove(user_id)

    def add(self, user_id: str, thread: str, correlation_id: str) -> None:
        """One more is open."""
        self._runs.setdefault(user_id, set()).add((thread, correlation_id))

    def forget(self, thread: str) -> None:
        """Those of a thread that has been deleted are not."""
        for user_id in list(self._runs):
            self._keep(user_id, {run for run in self._runs[user_id] if run[0] != thread})

    def _count(self, user_id: str) -> int:
        return len(self._runs.get(user_id, ())) + self._reserved.count(user_id)

    def _total(self) -> int:
        return sum(map(len, self._runs.values())) + len(self._reserved)

    async def _look(self, user_id: str) -> None:
        """Let go of those that have ended."""
        ended = set()
        for thread, correlation_id in list(self._runs.get(user_id, ())):
            run = await self._sink.get_run(thread, correlation_id)
            if run is None or run.terminal is not None:
                ended.add((thread, correlation_id))
        self._keep(user_id, self._runs.get(user_id, set()) - ended)

    def _keep(self, user_id: str, runs: set[tuple[str, str]]) -> None:
        if runs:
            self._runs[user_id] = runs
        else:
            self._runs.pop(user_id, None)
