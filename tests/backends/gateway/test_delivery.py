"""The delivery that a backend uses."""

from __future__ import annotations

from urllib.parse import urlsplit

import jwt
import pytest

from streamsink.backends.gateway.delivery import GatewayBounds, GatewayDelivery
from streamsink.backends.gateway.json_protocol import JSON
from streamsink.core.delivery import Delivery, ListsMembers, ServesClients, Subscribes
from streamsink.core.errors import (
    ConnectionGoneError,
    ForbiddenError,
    InvalidRequestError,
    SettingsError,
    UnavailableError,
)
from streamsink.core.identity import User
from streamsink.core.measures import COUNTERS, LEVELS

from .support import KEY, ManualClock, RecordingTransport, make_event, make_ids, settle

ANN = User(subject="ann")


@pytest.fixture
async def delivery() -> GatewayDelivery:
    return GatewayDelivery([KEY], clock=ManualClock(), monotonic=ManualClock(), make_id=make_ids())


def connect(delivery: GatewayDelivery, connection_id: str = "c1") -> RecordingTransport:
    transport = RecordingTransport()
    delivery.hub.connect(connection_id, ANN.id, protocol=JSON, transport=transport)
    return transport


def test_it_has_every_ability_of_a_gateway() -> None:
    assert issubclass(GatewayDelivery, Delivery)
    assert all(issubclass(GatewayDelivery, ability) for ability in (ServesClients, Subscribes, ListsMembers))


async def test_clients_are_told_where_to_connect(delivery: GatewayDelivery) -> None:
    info = await delivery.connect_info(ANN, "https://host.test/app")

    assert info.url == "https://host.test/app/client/?hub=streamsink"
    claims = jwt.decode(info.access_token, options={"verify_signature": False})
    assert (claims["nameid"], claims["aud"]) == (ANN.id, info.url)
    assert urlsplit(info.url).scheme


async def test_what_is_delivered_reaches_who_joined(delivery: GatewayDelivery) -> None:
    transport = connect(delivery)
    await delivery.join("t", "c1", user_id=ANN.id)

    async with delivery.subscribe("t") as events:
        await delivery.deliver("t", [make_event(1)])
        assert (await anext(events)).seq == 1

    assert len(transport.frames) == 1
    assert await delivery.members("t") == ["c1"]


async def test_who_left_gets_nothing(delivery: GatewayDelivery) -> None:
    transport = connect(delivery)
    for thread in ("t", "u"):
        await delivery.join(thread, "c1", user_id=None)

    await delivery.leave("t", "c1", user_id=ANN.id)
    await delivery.dissolve("u")
    for thread in ("t", "u"):
        await delivery.deliver(thread, [make_event()])
    await settle()

    assert transport.frames == []


@pytest.mark.parametrize("end", ["dissolve", "drain"])
async def test_what_was_delivered_before_the_end_is_sent(delivery: GatewayDelivery, end: str) -> None:
    transport = connect(delivery)
    await delivery.join("t", "c1", user_id=None)

    await delivery.deliver("t", [make_event(1)])
    await (delivery.dissolve("t") if end == "dissolve" else delivery.drain())

    assert len(transport.frames) == 1


async def test_what_one_turn_brings_is_one_frame(delivery: GatewayDelivery) -> None:
    transport = connect(delivery)
    await delivery.join("t", "c1", user_id=None)

    for seq in (1, 2, 3):
        await delivery.deliver("t", [make_event(seq)])
    await settle()

    assert [frame.payload.count(b"\x1e") for frame in transport.frames] == [3]


async def test_only_its_own_user_joins_a_connection(delivery: GatewayDelivery) -> None:
    connect(delivery)

    with pytest.raises(ForbiddenError):
        await delivery.join("t", "c1", user_id="somebody")
    with pytest.raises(ConnectionGoneError):
        await delivery.join("t", "gone", user_id=ANN.id)


async def test_it_is_ready_until_it_drains(delivery: GatewayDelivery) -> None:
    transport = connect(delivery)
    await delivery.check()

    await delivery.drain()

    assert transport.closed == [(None, True, False)]
    with pytest.raises(UnavailableError):
        await delivery.check()


async def test_after_closing_nothing_can_be_delivered(delivery: GatewayDelivery) -> None:
    await delivery.aclose()
    await delivery.aclose()

    for call in (delivery.check(), delivery.deliver("t", []), delivery.join("t", "c1", user_id=None)):
        with pytest.raises(UnavailableError):
            await call


async def test_its_application_knows_its_hub_only(delivery: GatewayDelivery) -> None:
    assert delivery._find_hub("streamsink") is delivery.hub
    assert delivery._find_hub("other") is None
    assert callable(delivery.client_app)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(SettingsError):
        GatewayDelivery([])
    with pytest.raises(InvalidRequestError):
        GatewayDelivery([KEY], hub="1bad", bounds=GatewayBounds())


async def test_connections_and_slow_readers_are_counted(delivery: GatewayDelivery) -> None:
    connect(delivery)
    delivery.hub.slow_readers = 3

    assert (delivery.measure(), delivery.levels()) == ({"slow_readers": 3}, {"connections": 1})
    assert delivery.measure().keys() <= COUNTERS.keys()
    assert delivery.levels().keys() <= LEVELS.keys()
