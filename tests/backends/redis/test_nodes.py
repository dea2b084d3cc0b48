"""Requests to other nodes, on a network that loses what it is told to, and on a real one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.letters import MAX_LETTER_BYTES, Answer, Close, Join, Leave, Question, decode, encode
from streamsink.backends.redis.nodes import Nodes
from streamsink.core.errors import (
    BusyError,
    ConnectionGoneError,
    ForbiddenError,
    NotFoundError,
    StreamSinkError,
    ThreadDeletedError,
    TooLargeError,
    UnavailableError,
)
from streamsink.testing.clock import virtual_runtime, virtual_time
from tests.backends.gateway.support import settle

from .network import Connections, Network, Subscriptions
from .support import fresh_keys, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.backends.redis.letters import Request
    from streamsink.testing.valkey import ValkeyServer

KEYS = Keys("nodes")
REQUEST = Join("t1", "c1", "ann")


class Pair:
    """``here`` asks; ``there`` has the connection ``c1`` of ann."""

    def __init__(self, **options: Any) -> None:
        self.network = Network()
        self.own = Connections(c2="bob")
        self.connections = Connections(c1="ann")
        self.here = self._node("here", self.own, **options)
        self.there = self._node("there", self.connections, **options)

    def _node(self, node_id: str, local: Connections, **options: Any) -> Nodes:
        runtime = virtual_runtime()
        return Nodes(self.network, self.network, KEYS, node_id=node_id, local=local, runtime=runtime, **options)

    def put(self, node_id: str, payload: bytes) -> None:
        self.network.publish(KEYS.node(node_id), payload)


@asynccontextmanager
async def pair(**options: Any) -> AsyncIterator[Pair]:
    nodes = Pair(**options)
    await nodes.here.start()
    await nodes.there.start()
    yield nodes
    await nodes.here.aclose()
    await nodes.there.aclose()


def is_answer(payload: bytes) -> bool:
    return isinstance(decode(payload), Answer)


@virtual_time
async def test_requests_are_done_where_the_connection_is() -> None:
    async with pair() as nodes:
        await nodes.here.ask("there", Join("t1", "c1", "ann"))
        await nodes.here.ask("there", Leave("t1", "c1"))
        await nodes.here.ask("there", Close("c1", "bye"))

    assert nodes.connections.done == [
        ("join", "c1", "ann", "t1"),
        ("leave", "c1", None, "t1"),
        ("close", "c1", None, "bye"),
    ]
    assert nodes.own.done == []


@virtual_time
async def test_asking_oneself_is_a_call() -> None:
    async with pair() as nodes:
        nodes.network.sent.clear()
        await nodes.here.ask("here", Join("t1", "c2", "bob"))
        with pytest.raises(ForbiddenError, match="not yours"):
            await nodes.here.ask("here", Join("t1", "c2", "ann"))

    assert nodes.own.done == [("join", "c2", "bob", "t1")]
    assert nodes.network.sent == []


@pytest.mark.parametrize(
    ("request_", "kind"),
    [(Join("t1", "c9", "ann"), ConnectionGoneError), (Join("t1", "c1", "eve"), ForbiddenError)],
)
def test_errors_come_back_as_what_they_were(request_: Request, kind: type[StreamSinkError]) -> None:
    @virtual_time
    async def run() -> None:
        async with pair() as nodes:
            with pytest.raises(kind) as caught:
                await nodes.here.ask("there", request_)
            assert type(caught.value) is kind

    run()


@pytest.mark.parametrize(
    "failure",
    [
        UnavailableError("secret"),
        BusyError("secret"),
        NotFoundError("secret"),
        ThreadDeletedError("secret"),
        TimeoutError("secret"),
    ],
)
def test_every_other_error_is_unavailable_and_says_nothing(failure: Exception) -> None:
    @virtual_time
    async def run() -> None:
        async with pair() as nodes:
            nodes.connections.failure = failure
            with pytest.raises(UnavailableError, match="cannot do that now") as caught:
                await nodes.here.ask("there", REQUEST)
        assert "secret" not in str(caught.value)
        assert not any(b"secret" in payload for payload in nodes.network.sent)

    run()


def test_a_defect_is_logged_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    @virtual_time
    async def run() -> None:
        async with pair() as nodes:
            nodes.connections.failure = ZeroDivisionError("oops")
            with pytest.raises(UnavailableError):
                await nodes.here.ask("there", REQUEST)
            nodes.connections.failure = None
            await nodes.here.ask("there", REQUEST)

    with caplog.at_level(logging.ERROR, "streamsink"):
        run()
    assert [record.getMessage() for record in caplog.records] == ["another node's request failed"]


@virtual_time
async def test_a_node_that_is_gone_has_no_connections() -> None:
    async with pair() as nodes:
        began = asyncio.get_running_loop().time()
        await nodes.there.aclose()
        for node_id in ("there", "never"):
            with pytest.raises(ConnectionGoneError, match="node of this connection is gone"):
                await nodes.here.ask(node_id, REQUEST)
        assert asyncio.get_running_loop().time() - began < 2 * 3


@virtual_time
async def test_a_node_that_comes_back_soon_was_not_gone() -> None:
    """Its connection was cut, and it subscribes anew."""
    async with pair() as nodes:
        nodes.network.unlisten(KEYS.node("there"), nodes.there)
        asked = asyncio.create_task(nodes.here.ask("there", REQUEST))
        await asyncio.sleep(2)
        await nodes.there.start()
        await asked

    assert [done[0] for done in nodes.connections.done] == ["join"]


@virtual_time
async def test_who_is_cut_off_calls_nobody_gone() -> None:
    """Redis' channels may be away for all."""
    async with pair() as nodes:
        nodes.network.unlisten(KEYS.node("there"), nodes.there)
        nodes.network.is_connected = False
        with pytest.raises(UnavailableError, match="try again"):
            await nodes.here.ask("there", REQUEST)


@virtual_time
async def test_a_node_that_says_nothing_is_waited_for_so_long() -> None:
    async with pair(timeout_s=3.0) as nodes:
        nodes.network.is_lost = is_answer
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError, match="did not answer in time"):
            await nodes.here.ask("there", REQUEST)
        assert asyncio.get_running_loop().time() == pytest.approx(began + 3)

        nodes.network.is_lost = lambda payload: False
        await nodes.here.ask("there", REQUEST)

    assert len(nodes.connections.done) == 2


@virtual_time
async def test_who_does_not_get_done_in_time_stops() -> None:
    async with pair(timeout_s=3.0) as nodes:
        nodes.connections.may_go_on.clear()
        with pytest.raises(UnavailableError):
            await nodes.here.ask("there", REQUEST)
        await settle()
        assert nodes.connections.cancelled == 1
        assert nodes.network.answers() == ["unavailable"]  # nobody waits for it any more


@virtual_time
async def test_redis_out_of_reach() -> None:
    async with pair() as nodes:
        nodes.network.failure = UnavailableError("Redis cannot be reached")
        with pytest.raises(UnavailableError, match="Redis"):
            await nodes.here.ask("there", REQUEST)

        nodes.put("there", encode(Question("q1", "here", REQUEST)))  # its answer cannot be sent
        await settle()
        assert nodes.connections.done == [("join", "c1", "ann", "t1")]


@pytest.mark.parametrize("is_done", [True, False])
def test_what_a_gap_may_have_swallowed_is_asked_again(is_done: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with pair() as nodes:
            nodes.network.is_lost = is_answer if is_done else lambda payload: True
            asking = asyncio.create_task(nodes.here.ask("there", REQUEST))
            await settle()
            assert len(nodes.connections.done) == int(is_done)
            nodes.network.is_lost = lambda payload: False

            nodes.here.on_gap()
            nodes.here.on_gap()
            await asking

            assert len(nodes.connections.done) == 1 + int(is_done)
            assert asyncio.get_running_loop().time() == 0

    run()


@virtual_time
async def test_a_gap_on_the_way_there_loses_nothing() -> None:
    async with pair() as nodes:
        asking = asyncio.create_task(nodes.here.ask("there", REQUEST))
        await asyncio.sleep(0)
        nodes.here.on_gap()
        nodes.there.on_gap()
        await asking


@virtual_time
async def test_requests_of_others_are_bounded() -> None:
    async with pair(max_at_once=3) as nodes:
        nodes.connections.may_go_on.clear()
        for number in range(20):
            nodes.put("there", encode(Question(f"q{number}", "here", REQUEST)))
        await settle()
        # Three are under way and three were refused; nobody can be told more in one turn of the loop.
        assert nodes.network.answers() == ["unavailable"] * 3
        with pytest.raises(UnavailableError, match="try again"):
            await nodes.here.ask("there", REQUEST)

        nodes.connections.may_go_on.set()
        await settle()
        await nodes.here.ask("there", REQUEST)

    assert len(nodes.connections.done) == 4


@virtual_time
async def test_what_is_no_letter_is_ignored() -> None:
    async with pair() as nodes:
        nodes.network.sent.clear()
        for payload in (b"", b"\x01", b"\xff" * 9_999, encode(Answer("nobody asked")), b"\x02" + b"x"):
            nodes.put("there", payload)
        await settle()
        assert len(nodes.network.sent) == 5
        await nodes.here.ask("there", REQUEST)


@virtual_time
async def test_an_answer_that_comes_twice_is_one() -> None:
    async with pair() as nodes:
        nodes.network.is_lost = is_answer
        asking = asyncio.create_task(nodes.here.ask("there", REQUEST))
        await settle()
        (answer,) = filter(is_answer, nodes.network.sent)
        nodes.here.on_messages([answer])
        nodes.here.on_messages([answer])
        nodes.here.on_gap()
        await asking
        nodes.here.on_messages([answer])


@virtual_time
async def test_more_than_a_letter_holds_is_not_sent() -> None:
    async with pair() as nodes:
        with pytest.raises(TooLargeError):
            await nodes.here.ask("there", Close("c1", "e" * MAX_LETTER_BYTES))


@virtual_time
async def test_who_goes_away_waits_for_nothing() -> None:
    async with pair() as nodes:
        nodes.connections.may_go_on.clear()
        asking = [asyncio.create_task(nodes.here.ask("there", REQUEST)) for _ in range(2)]
        await settle()
        asking[0].cancel()
        await asyncio.wait({asking[0]})

        await nodes.here.aclose()
        with pytest.raises(UnavailableError):
            await asking[1]
        with pytest.raises(UnavailableError, match="closed"):
            await nodes.here.ask("there", REQUEST)

        await nodes.there.aclose()
        assert nodes.connections.cancelled == 2
        nodes.there.on_messages([encode(Question("q1", "here", REQUEST))])
        await settle()
        assert nodes.connections.done == []


@virtual_time
async def test_a_gap_just_before_the_end_does_not_wait() -> None:
    async with pair() as nodes:
        nodes.network.is_lost = lambda payload: True
        asking = asyncio.create_task(nodes.here.ask("there", REQUEST))
        await settle()
        nodes.here.on_gap()
        await nodes.here.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            await asking


@pytest.mark.service
async def test_over_redis(valkey: ValkeyServer) -> None:
    store, keys = open_store(valkey), fresh_keys()
    subscriber = Subscriptions(store.client)
    connections = Connections(c1="ann")
    here, there = (Nodes(store, subscriber, keys, node_id=node_id, local=connections) for node_id in ("here", "there"))
    await here.start()
    with pytest.raises(ConnectionGoneError):
        await here.ask("there", REQUEST)
    await there.start()

    await asyncio.gather(*(here.ask("there", Join(f"t{number}", "c1", "ann")) for number in range(600)))
    with pytest.raises(ForbiddenError):
        await here.ask("there", Join("t1", "c1", "eve"))

    assert len(connections.done) == 600
    await here.aclose()
    await there.aclose()
    await subscriber.aclose()
    await store.aclose()
