"""What every agent around another agent has in common: it is taken for the one inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_framework import AgentSession, SupportsAgentRun

__all__ = ["DelegatingAgent"]


class DelegatingAgent(ABC):
    """An agent (``SupportsAgentRun``) that is the wrapped one in all but its ``run``."""

    def __init__(self, inner: SupportsAgentRun) -> None:
        self.inner = inner
        self.id: str = inner.id
        self.name: str | None = inner.name
        self.description: str | None = inner.description

    def create_session(self, *, session_id: str | None = None) -> AgentSession:
        """A session of the wrapped agent."""
        return self.inner.create_session(session_id=session_id)

    def get_session(self, service_session_id: Any, *, session_id: str | None = None) -> AgentSession:
        """A session of the wrapped agent that its service keeps."""
        return self.inner.get_session(service_session_id, session_id=session_id)

    @abstractmethod
    def run(self, messages: Any = None, *, stream: bool = False, session: Any = None, **kwargs: Any) -> Any:
        """As ``SupportsAgentRun.run``."""
