"""Sessions that wait for a person's answer: the framework honours an approval only through the session that asked.

An entity passes no session, and each run gets a fresh one. The only sessions kept are those in which something has
been asked and not been answered, one for each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsink.core.errors import ConflictError
from streamsink.hosts.approvals import pending_requests

if TYPE_CHECKING:
    from agent_framework import AgentSession

    from streamsink.hosts.agent_host import Answer
    from streamsink.hosts.sessions import Sessions

__all__ = ["AskingSessions"]


class AskingSessions:
    """Sessions by thread, agent and request."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def find(self, thread: str, agent: str, approval_id: str) -> AgentSession | None:
        """The session that waits for this answer, or None."""
        session = await self._sessions.get(thread, _name(agent, approval_id))
        return session if session is not None and approval_id in pending_requests(session) else None

    async def open(self, thread: str, agent: str, approval_id: str) -> AgentSession:
        """The same.

        Raises:
            ConflictError: none waits for it any more.
        """
        session = await self.find(thread, agent, approval_id)
        if session is None:
            raise ConflictError("this request has been answered, or the conversation has moved on")
        return session

    async def keep(self, thread: str, agent: str, session: AgentSession, answered: Answer | None) -> None:
        """Keep the session for each answer that it waits for, and none for what has been answered."""
        pending = pending_requests(session)
        for approval_id in pending:
            await self._sessions.put(thread, _name(agent, approval_id), session)
        if answered is not None and answered.approval_id not in pending:
            empty = type(session)(session_id=session.session_id)
            await self._sessions.put(thread, _name(agent, answered.approval_id), empty)

    async def delete(self, thread: str) -> None:
        """Forget those of the thread."""
        await self._sessions.delete(thread)


def _name(agent: str, approval_id: str) -> str:
    return f"{agent}\n{approval_id}"
