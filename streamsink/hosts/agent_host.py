"""What the HTTP API needs from whatever runs the agents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from streamsink.core.events import Terminal
    from streamsink.core.runs import RunRequest

__all__ = ["AgentHost", "Answer", "Job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's answer to an ``agentApproval``."""

    approval_id: str
    approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An accepted run to execute.

    Args:
        user_id: on whose behalf; open runs are counted per user.
        prompt: what the user said; for an approval, nothing.
    """

    thread: str
    request: RunRequest
    user_id: str
    prompt: str = ""
    answer: Answer | None = None


class AgentHost(ABC):
    """Runs agents by name."""

    @property
    @abstractmethod
    def agents(self) -> Sequence[str]:
        """The names that can be asked for."""

    @property
    @abstractmethod
    def stops_runs(self) -> bool:
        """Whether a cancel in the timeline reaches what runs here."""

    @property
    def open_runs(self) -> int | None:
        """How many runs are executing or waiting here; None: this host does not know."""
        return None

    @abstractmethod
    def reserve(self, user_id: str) -> AbstractAsyncContextManager[None]:
        """Keep room for one more run of this user while inside, where it is accepted and started.

        Raises, on entering:
            BusyError: too many are open.
            UnavailableError: this host is stopping.
        """

    @abstractmethod
    async def start(self, job: Job) -> None:
        """Execute an accepted run in the background; its end is its terminal.

        Raises:
            UnavailableError: it could not be started, and will not be; it has its terminal.
        """

    @abstractmethod
    async def wait(self, thread: str, correlation_id: str, *, timeout_s: float) -> Terminal | None:
        """How the run ended; None when it has not within ``timeout_s`` seconds."""

    @abstractmethod
    async def check_answer(self, thread: str, agent: str, answer: Answer) -> None:
        """Make sure that the agent waits for this answer.

        Raises:
            NotFoundError: it does not wait for it on this thread (any more).
        """

    @abstractmethod
    async def forget(self, thread: str) -> None:
        """End what runs here on a deleted thread, and forget what the agents remember of it."""

    @abstractmethod
    async def aclose(self, *, drain_s: float) -> None:
        """Accept nothing more, let runs end for ``drain_s`` seconds, then end them visibly."""
