"""Language workers: what executes the functions, apart from the host that tells it to.

As on the platform a worker has one main loop, where coroutine functions run, and threads for the others; a host
and its workers share nothing but messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.functions_platform.data import Function, Invocation, Outcome

__all__ = ["Worker", "WorkerDiedError"]


class WorkerDiedError(Exception):
    """The worker ended before it answered: nobody knows how far it came."""


class Worker(Protocol):
    @property
    def alive(self) -> bool: ...

    async def start(self) -> list[Function]:
        """Start, and say which functions there are."""
        ...

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Execute a function.

        Raises:
            WorkerDiedError: see there.
        """
        ...

    async def aclose(self) -> None: ...
