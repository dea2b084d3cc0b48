"""An agent around another one is taken for it; what the two do differently is ``run``."""

from __future__ import annotations

from typing import Any

from agent_framework import SupportsAgentRun

from streamsink.hosts.delegating_agent import DelegatingAgent

from .support import make_agent


class Loud(DelegatingAgent):
    """Answers for the agent inside."""

    def run(self, messages: Any = None, *, stream: bool = False, session: Any = None, **kwargs: Any) -> Any:
        return str(messages).upper()


def test_it_looks_like_the_agent_inside() -> None:
    inner = make_agent()
    agent = Loud(inner)

    assert isinstance(agent, SupportsAgentRun)
    assert (agent.id, agent.name, agent.description) == (inner.id, inner.name, inner.description)
    assert agent.run("hi") == "HI"


def test_its_sessions_are_those_of_the_agent_inside() -> None:
    agent = Loud(make_agent())

    assert agent.create_session(session_id="s").session_id == "s"
    session = agent.get_session("kept", session_id="s")
    assert (session.service_session_id, session.session_id) == ("kept", "s")
