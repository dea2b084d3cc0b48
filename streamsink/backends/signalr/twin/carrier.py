"""Carries sends out: once and in order, unless a fault says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.runtime import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from streamsink.backends.signalr.twin.faults import Faults, Plan
    from streamsink.backends.signalr.twin.operations import Operation, Send

    _Key: TypeAlias = tuple[str, str | None, str | None, str | None]

__all__ = ["Carrier"]


class Carrier:
    """Those that are held back, and the tasks that let them go.

    Args:
        perform: does it.
        faults: say for how long at most.
    """

    def __init__(self, perform: Callable[[Operation], Any], faults: Faults) -> None:
        self._perform = perform
        self._faults = faults
        self._held: dict[_Key, Send] = {}
        self._tasks = TaskOwner()

    def carry(self, send: Send, plan: Plan) -> None:
        """Deliver a send, then the one to the same audience that waits for it; or hold it back, at most one each."""
        key = _key(send)
        earlier = self._held.pop(key, None)
        copies = plan.copies
        if plan.reorder and earlier is None:
            self._held[key] = send
            self._tasks.start(self._let_go(key, send), name="held send")
            copies -= 1
        for _ in range(copies):
            self._perform(send)
        if earlier is not None:
            self._perform(earlier)

    async def aclose(self) -> None:
        """Forget what is held."""
        await self._tasks.aclose()

    async def _let_go(self, key: _Key, send: Send) -> None:
        await self._faults.sleep(self._faults.held_s)
        if self._held.get(key) is send:
            del self._held[key]
            self._perform(send)


def _key(send: Send) -> _Key:
    return send.hub, send.to.connection_id, send.to.user_id, send.to.group
