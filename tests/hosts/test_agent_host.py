"""What the HTTP API needs from whatever runs the agents."""

from __future__ import annotations

import pytest

from streamsink.core.runs import RunRequest
from streamsink.hosts.agent_host import AgentHost, Answer, Job
from streamsink.hosts.background import BackgroundHost


def test_a_host_does_all_of_it() -> None:
    class Half(AgentHost):
        pass

    with pytest.raises(TypeError):
        Half()  # type: ignore[abstract]
    assert issubclass(BackgroundHost, AgentHost)


def test_a_host_that_cannot_tell_says_so() -> None:
    class Elsewhere(AgentHost):
        pass

    Elsewhere.__abstractmethods__ = frozenset()

    assert Elsewhere().open_runs is None  # type: ignore[abstract]


def test_jobs_are_values() -> None:
    request = RunRequest(correlation_id="r", agent_name="a")

    assert Job(thread="t", request=request, user_id="u") == Job(thread="t", request=request, user_id="u", prompt="")
    assert Answer(approval_id="a", approved=True) != Answer(approval_id="a", approved=False)
