"""What other nodes may ask for the connections of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.backends.redis.local import LocalConnections
from streamsink.core.errors import ConnectionGoneError, ForbiddenError, UnavailableError

if TYPE_CHECKING:
    from streamsink.backends.gateway.frame import Frame


class Wire:
    """A client's transport that keeps how it was closed."""

    def __init__(self) -> None:
        self.closed: list[str | None] = []

    def write(self, frame: Frame) -> bool:
        """Nothing is published here."""
        return True

    def close(self, error: str | None = None, *, allow_reconnect: bool = False, discard: bool = False) -> None:
        self.closed.append(error)


class Feeds:
    """Feeds that open, or do not."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.failure: Exception | None = None
        self.meanwhile: object = None

    async def open(self, thread: str) -> None:
        self.opened.append(thread)
        if callable(self.meanwhile):
            self.meanwhile()
        if self.failure is not None:
            raise self.failure


class World:
    """One connection of ann's."""

    def __init__(self) -> None:
        self.gateway = GatewayDelivery([b"k" * 32])
        self.feeds = Feeds()
        self.local = LocalConnections(self.gateway, self.feeds)  # type: ignore[arg-type]
        self.transport = Wire()
        self.gateway.hub.connect("c1", "ann", protocol=JSON, transport=self.transport)


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_join_opens_the_feed(world: World) -> None:
    await world.local.join("t", "c1", user_id="ann")

    assert "c1" in world.local
    assert world.feeds.opened == ["t"]
    assert await world.gateway.members("t") == ["c1"]


async def test_who_may_not_join_opens_nothing(world: World) -> None:
    with pytest.raises(ForbiddenError):
        await world.local.join("t", "c1", user_id="bob")

    assert world.feeds.opened == []


async def test_a_join_whose_feed_fails_is_undone(world: World) -> None:
    world.feeds.failure = UnavailableError("not now")

    with pytest.raises(UnavailableError):
        await world.local.join("t", "c1", user_id="ann")

    assert await world.gateway.members("t") == []


async def test_who_left_while_the_feed_opened_is_gone(world: World) -> None:
    world.feeds.meanwhile = lambda: world.gateway.hub.disconnect("c1")

    with pytest.raises(ConnectionGoneError):
        await world.local.join("t", "c1", user_id="ann")


async def test_a_connection_can_leave_and_be_closed(world: World) -> None:
    await world.local.join("t", "c1", user_id="ann")
    await world.local.leave("t", "c1", user_id="ann")
    assert await world.gateway.members("t") == []

    await world.local.close("c1", "over")

    assert world.transport.closed == ["over"]
    with pytest.raises(ConnectionGoneError):
        await world.local.close("c1", None)
