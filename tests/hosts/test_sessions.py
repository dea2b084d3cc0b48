"""Where an agent's session waits between the turns of a conversation."""

from __future__ import annotations

import asyncio

import pytest
from agent_framework import AgentSession

from streamsink.core.documents import KeepsDocuments
from streamsink.core.errors import UnavailableError
from streamsink.hosts.sessions import MemorySessions, StoredSessions
from streamsink.testing.clock import virtual_time


def session(**state: object) -> AgentSession:
    made = AgentSession(session_id="s")
    made.state.update(state)
    return made


async def test_a_session_comes_back_as_it_was_put() -> None:
    """Neither the one that was put nor the one that was got is the one that is kept."""
    sessions, mine = MemorySessions(), session(said=["one"])
    await sessions.put("t", "a", mine)
    mine.state["said"].append("two")

    first = await sessions.get("t", "a")
    assert first is not None
    assert first.state == {"said": ["one"]}
    first.state["said"].append("three")

    second = await sessions.get("t", "a")
    assert second is not None
    assert second.state == {"said": ["one"]}


async def test_threads_and_agents_have_their_own() -> None:
    sessions = MemorySessions()
    await sessions.put("t", "a", session(n=1))

    assert await sessions.get("t", "b") is None
    assert await sessions.get("u", "a") is None


async def test_deleting_forgets_every_agent_of_the_thread_and_no_other() -> None:
    sessions = MemorySessions()
    for thread, agent in (("t", "a"), ("t", "b"), ("u", "a")):
        await sessions.put(thread, agent, session())

    await sessions.delete("t")
    await sessions.delete("t")

    assert await sessions.get("t", "a") is None
    assert await sessions.get("t", "b") is None
    assert await sessions.get("u", "a") is not None


async def test_the_least_recently_used_are_forgotten_first() -> None:
    sessions = MemorySessions(max_sessions=2)
    for thread in ("one", "two"):
        await sessions.put(thread, "a", session())
    await sessions.get("one", "a")
    await sessions.put("three", "a", session())

    assert await sessions.get("two", "a") is None
    assert await sessions.get("one", "a") is not None


class Documents(KeepsDocuments):
    """Cannot be reached until a time of the loop."""

    def __init__(self, back_at_s: float) -> None:
        self._back_at_s = back_at_s
        self.kept: dict[tuple[str, str], bytes] = {}

    async def get_document(self, thread: str, name: str) -> bytes | None:
        return self.kept.get((thread, name))

    async def put_document(self, thread: str, name: str, document: bytes) -> None:
        if asyncio.get_running_loop().time() < self._back_at_s:
            raise UnavailableError("not now")
        self.kept[thread, name] = document


@virtual_time
async def test_a_store_that_is_back_soon_costs_no_answer() -> None:
    """The answer is whole when its session is kept: it waits for the store as what was said did."""
    sessions = StoredSessions(Documents(20))
    await sessions.put("t", "a", session(word="kept"))
    found = await sessions.get("t", "a")

    assert found is not None
    assert found.state == {"word": "kept"}


@virtual_time
async def test_a_store_that_stays_away_is_given_up() -> None:
    with pytest.raises(UnavailableError):
        await StoredSessions(Documents(100), give_up_s=10).put("t", "a", session())

    assert asyncio.get_running_loop().time() <= 10
