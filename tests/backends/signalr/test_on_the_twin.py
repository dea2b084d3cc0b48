"""Every operation of the REST builder, asked of the twin, which checks tokens, escaping and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.backends.signalr.delivery import SignalRDelivery
from streamsink.backends.signalr.replies import ServiceError
from streamsink.backends.signalr.rest import message
from streamsink.backends.signalr.twin import twin
from streamsink.core.delivery import ConnectInfo
from streamsink.core.errors import ConnectionGoneError
from streamsink.core.identity import User
from streamsink.testing.signalr import signalr_client

from .support import make_sink

if TYPE_CHECKING:
    from streamsink.core.composed import ComposedSink

pytestmark = pytest.mark.service

ODD = "a/b ü %2F + {x}?#&='\"*:"


def delivery_of(sink: ComposedSink) -> SignalRDelivery:
    found = sink.ability(SignalRDelivery)
    assert found is not None
    return found


async def test_every_operation() -> None:
    async with twin() as service, make_sink(service.connection_string) as sink:
        delivery = delivery_of(sink)
        call, api = delivery._client.call, delivery._api
        await call(api.health())
        info = await sink.connect_info(User(subject="ann"), "x")
        user = User(subject="ann").id
        async with signalr_client(info) as one, signalr_client(info) as two:
            c = one.connection_id
            assert await call(api.connection_exists(c))
            assert not await call(api.connection_exists("nobody"))
            assert await call(api.user_exists(user))
            assert not await call(api.user_exists("nobody"))
            assert not await call(api.group_exists(ODD))
            await call(api.add_connection(ODD, c))
            with pytest.raises(ConnectionGoneError):
                await call(api.add_connection(ODD, "nobody"))
            assert await call(api.group_exists(ODD))
            body = message("m", b'{"n":1}')
            await call(api.send_to_group(ODD, body))
            await call(api.send_to_group(ODD, body, excluded=[c]))
            await call(api.send_to_user(user, body))
            await call(api.send_to_connection(c, body))
            await call(api.send_to_all(body, excluded=[two.connection_id]))
            assert len(await one.until(4)) == 4
            assert len(await two.until(1)) == 1
            assert (await call(api.members(ODD))).connection_ids == (c,)
            await call(api.add_user(ODD, user, ttl_s=60))
            assert await call(api.user_in_group(ODD, user))
            assert sorted(await delivery.members(ODD)) == sorted([c, two.connection_id])
            ids, query = await call(api.members(ODD, page_size=1))
            assert (len(ids), query is None) == (1, False)
            more, last = await call(api.members(ODD, page=query))
            assert ({*ids, *more}, last) == ({c, two.connection_id}, None)
            await call(api.remove_user(ODD, user))
            assert not await call(api.user_in_group(ODD, user))
            await call(api.add_connection(ODD, c))
            await call(api.remove_connection(ODD, c))
            await call(api.remove_connection(ODD, "nobody"))
            await call(api.remove_connection_from_all(c))
            await call(api.remove_user_from_all(user))
            token = await call(api.generate_token(user, minutes=5))
            async with signalr_client(ConnectInfo(info.url, token)) as three:
                assert await call(api.close_connection(three.connection_id, reason="bye"))
                await three.ended()
            assert not await call(api.close_connection("nobody"))
            await call(api.close_group(ODD))
            await call(api.close_user(user, reason="out", excluded=[c]))
            await two.ended()
            await call(api.close_all())
            await one.ended()
        await sink.check()


async def test_rotation_and_wrong_keys() -> None:
    async with twin() as service:
        old = service.connection_string
        service.rotate_key()
        again = service.rotate_key()  # the service has two keys: now the oldest is refused
        async with make_sink(old, environ={"STREAM_SIGNALR_SECOND_CONNECTION_STRING": again}) as sink:
            await sink.check()
            async with signalr_client(await sink.connect_info(User(subject="ann"), "x")) as client:
                await sink.join("t", client.connection_id, user_id=None)
        async with make_sink(old) as sink:
            with pytest.raises(ServiceError, match="credentials"):
                await sink.check()


async def test_dissolve_many() -> None:
    async with twin() as service, make_sink(service.connection_string) as sink:
        info = await sink.connect_info(User(subject="ann"), "x")
        async with signalr_client(info) as one:
            await sink.join("t", one.connection_id, user_id=None)
            await sink.dissolve("t")
            assert await delivery_of(sink).members("t") == []
