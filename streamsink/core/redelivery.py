"""Deliveries that did not succeed at once: tried again in the background, in order, a bounded number of times."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from streamsink.core.errors import PartlyDeliveredError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.core.delivery import Delivery
    from streamsink.core.events import Event
    from streamsink.core.runtime import Runtime, TaskOwner

__all__ = ["Redelivery"]

_log = logging.getLogger("streamsink")

_TRIES: Final = 8
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
# Whoever asks to be left alone for longer than this is asked again all the same.
_LONGEST_HOLD_S: Final = 60.0
_MAX_WAITING_EVENTS: Final = 10_000


@dataclass(slots=True, eq=False)
class _Late:
    """A thread's events that wait, the oldest in front.

    ``added`` and ``tried`` count events since it began: whoever added up to ``added`` waits for ``tried`` to get there.
    """

    events: deque[Event] = field(default_factory=deque)
    failures: int = 0
    hold_s: float = 0.0
    added: int = 0
    tried: int = 0
    turned: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def failed(self, reason: BaseException) -> None:
        """A delivery came to nothing; one that began to succeed counts as the first failure of what is left."""
        self.failures = 1 if _delivered_before(reason) else self.failures + 1
        asked_s = reason.retry_after_s if isinstance(reason, UnavailableError) else None
        self.hold_s = min(asked_s or 0.0, _LONGEST_HOLD_S)

    def turn(self, tried: int) -> None:
        """Wake those whose events have been tried."""
        self.tried = tried
        self.turned.set()
        self.turned = asyncio.Event()


class Redelivery:
    """Gives a delivery its events: at once where it can, otherwise again and again.

    Args:
        tasks: own the background work.
        patience_s: how long a caller waits for the first try of events that queue behind others.

    Attributes:
        redelivered: events whose delivery succeeded only in the background.
        undelivered: events given up.
    """

    def __init__(self, delivery: Delivery, *, tasks: TaskOwner, runtime: Runtime, patience_s: float) -> None:
        self._delivery = delivery
        self._tasks = tasks
        self._runtime = runtime
        self._patience_s = patience_s
        self._late: dict[str, _Late] = {}
        self.redelivered: int = 0
        self.undelivered: int = 0

    @property
    def waiting(self) -> int:
        """How many events wait to be delivered."""
        return sum(len(late.events) for late in tuple(self._late.values()))

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        """Return when their first try is over, whatever came of it, or has been waited for in vain."""
        if not events:
            return
        late = self._late.get(thread)
        if late is not None:
            self._add(late, events)
            await self._first_try(late)
            return
        try:
            await self._delivery.deliver(thread, events)
        except Exception as reason:  # whatever it is, of a third party's backend too: appended is appended
            _log.warning("delivery failed, trying again: %s", type(reason).__name__)
            self._queue(thread, events[_delivered_before(reason) :], reason)
        except asyncio.CancelledError:
            self._queue(thread, events)  # appended is appended, whoever has gone away
            raise

    async def flush(self, thread: str, *, timeout_s: float) -> bool:
        """Wait until nothing of the thread waits, or has been given up; False when ``timeout_s`` has passed first."""
        late = self._late.get(thread)
        if late is None or late.task is None:
            return True
        done, _ = await asyncio.wait({late.task}, timeout=timeout_s)
        return bool(done)

    def forget(self, thread: str) -> None:
        """Nothing of what waits is wanted any more."""
        late = self._late.get(thread)
        if late is not None:
            late.events.clear()

    def _queue(self, thread: str, events: Sequence[Event], reason: BaseException | None = None) -> None:
        late = self._late.get(thread)
        if late is None:
            late = self._late[thread] = _Late()
            late.task = self._tasks.start(self._work(thread, late), name="streamsink redelivery")
        if reason is not None:
            late.failed(reason)
        self._add(late, events)

    def _add(self, late: _Late, events: Sequence[Event]) -> None:
        late.added += len(events)
        late.events.extend(events)
        self._bound(late)

    def _bound(self, late: _Late) -> None:
        while len(late.events) > _MAX_WAITING_EVENTS:
            late.events.popleft()
            self.undelivered += 1

    async def _first_try(self, late: _Late) -> None:
        """What a producer says meanwhile is merged, so that a service which wants less is sent less."""
        mine = late.added
        try:
            async with asyncio.timeout(self._patience_s):
                while late.tried < mine:
                    await late.turned.wait()
        except TimeoutError:
            return

    async def _work(self, thread: str, late: _Late) -> None:
        try:
            while late.events and late.failures < _TRIES:
                await asyncio.sleep(self._wait_s(late))
                await self._try(thread, late)
        finally:
            del self._late[thread]
            self.undelivered += len(late.events)
            late.turn(late.added)
            if late.events:
                _log.error("gave up delivering %d events; clients will ask for them", len(late.events))

    def _wait_s(self, late: _Late) -> float:
        if late.failures == 0:
            return 0.0
        backoff_s = min(_FIRST_WAIT_S * 2 ** (late.failures - 1), _LONGEST_WAIT_S)
        return late.hold_s + self._runtime.jittered(backoff_s)  # not all threads at the moment when they may

    async def _try(self, thread: str, late: _Late) -> None:
        """Deliver everything that waits; what was not delivered waits again."""
        events, upto = tuple(late.events), late.added
        late.events.clear()
        try:
            await self._delivery.deliver(thread, events)
        except BaseException as reason:
            done = _delivered_before(reason)
            self.redelivered += done
            late.events.extendleft(reversed(events[done:]))
            self._bound(late)
            if not isinstance(reason, Exception):
                raise
            late.failed(reason)
        else:
            late.failures, late.hold_s = 0, 0.0
            self.redelivered += len(events)
        late.turn(upto)


def _delivered_before(reason: BaseException) -> int:
    return reason.count if isinstance(reason, PartlyDeliveredError) else 0
