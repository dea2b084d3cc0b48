"""Negotiated connections."""

from __future__ import annotations

import pytest

from streamsink.backends.gateway.connection_tokens import InProcessConnectionTokens, new_id
from streamsink.core.errors import ConflictError, NotFoundError

from .support import ManualClock, make_ids


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> InProcessConnectionTokens:
    return InProcessConnectionTokens(clock=clock, make_id=make_ids(), max_waiting=3)


async def test_a_token_is_good_once(tokens: InProcessConnectionTokens) -> None:
    """Check 12."""
    issued = await tokens.issue(hub="chat", user_id="ann", is_secret=True)

    assert issued.token != issued.connection_id
    assert await tokens.state(issued.token, hub="chat", user_id="ann") == "waiting"
    assert await tokens.claim(issued.token, hub="chat", user_id="ann") == issued.connection_id
    assert await tokens.state(issued.token, hub="chat", user_id="ann") == "connected"
    with pytest.raises(ConflictError):
        await tokens.claim(issued.token, hub="chat", user_id="ann")


async def test_after_its_connection_a_token_is_unknown(tokens: InProcessConnectionTokens) -> None:
    issued = await tokens.issue(hub="chat", user_id="ann", is_secret=True)
    await tokens.claim(issued.token, hub="chat", user_id="ann")

    await tokens.release(issued.token)
    await tokens.release(issued.token)

    with pytest.raises(NotFoundError):
        await tokens.claim(issued.token, hub="chat", user_id="ann")


async def test_without_a_secret_the_id_connects(tokens: InProcessConnectionTokens) -> None:
    """Check 2."""
    issued = await tokens.issue(hub="chat", user_id=None, is_secret=False)

    assert issued.token == issued.connection_id
    assert await tokens.claim(issued.token, hub="chat", user_id=None) == issued.connection_id


async def test_the_public_id_does_not_connect_where_there_is_a_secret(
    tokens: InProcessConnectionTokens,
) -> None:
    issued = await tokens.issue(hub="chat", user_id="ann", is_secret=True)

    with pytest.raises(NotFoundError, match="No Connection with that ID"):
        await tokens.claim(issued.connection_id, hub="chat", user_id="ann")


@pytest.mark.parametrize(("hub", "user_id"), [("chat", "bob"), ("chat", None), ("other", "ann")])
async def test_somebody_elses_token_is_unknown(
    tokens: InProcessConnectionTokens, hub: str, user_id: str | None
) -> None:
    issued = await tokens.issue(hub="chat", user_id="ann", is_secret=True)

    with pytest.raises(NotFoundError):
        await tokens.claim(issued.token, hub=hub, user_id=user_id)

    assert await tokens.claim(issued.token, hub="chat", user_id="ann")
    assert await tokens.state(issued.token, hub=hub, user_id=user_id) == "unknown"


async def test_an_unused_token_lives_15_seconds(tokens: InProcessConnectionTokens, clock: ManualClock) -> None:
    """Check 10."""
    first = await tokens.issue(hub="chat", user_id="ann", is_secret=True)
    clock.advance(14.9)
    second = await tokens.issue(hub="chat", user_id="ann", is_secret=True)
    assert len(tokens) == 2

    clock.advance(0.1)

    assert len(tokens) == 1
    with pytest.raises(NotFoundError):
        await tokens.claim(first.token, hub="chat", user_id="ann")
    assert await tokens.claim(second.token, hub="chat", user_id="ann")


async def test_a_flood_pushes_out_the_oldest(tokens: InProcessConnectionTokens) -> None:
    issued = [await tokens.issue(hub="chat", user_id="ann", is_secret=True) for _ in range(5)]

    states = [await tokens.state(each.token, hub="chat", user_id="ann") for each in issued]

    assert states == ["unknown", "unknown", "waiting", "waiting", "waiting"]
    assert len(tokens) == 3


def test_ids_look_like_the_reference_servers() -> None:
    assert len(new_id()) == 22
    assert new_id() != new_id()
