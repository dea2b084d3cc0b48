"""Events become messages, in order; threads become groups; users connect; trouble is visible."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from streamsink.backends.signalr.delivery import SignalRDelivery
from streamsink.core.delivery import ListsMembers
from streamsink.core.errors import ConnectionGoneError, UnavailableError
from streamsink.core.events import Terminal
from streamsink.core.identity import User
from streamsink.core.measures import Measures
from streamsink.testing.checking import batch, begun, events_of
from streamsink.testing.clock import virtual_runtime, virtual_time

from .support import HOST, KEY, Service, loop_clock, make_sink, on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamsink.core.composed import ComposedSink

ANN = User(subject="ann")
GROUP = "/api/hubs/chat/groups/t"


class World:
    """A sink on a scripted service, on virtual time."""

    def __init__(self, **options: Any) -> None:
        self.service = Service()
        self.sink: ComposedSink = make_sink(runtime=virtual_runtime(), **options, **on(self.service))
        found = self.sink.ability(SignalRDelivery)
        assert found is not None
        self.delivery = found

    def sent(self) -> list[dict[str, Any]]:
        """The bodies of all sends that the service took."""
        return [json.loads(each.content) for each in self.service.requests if each.url.path.endswith("/:send")]

    def numbers(self) -> list[int]:
        return [argument["data"] for body in self.sent() for argument in body["arguments"] if "data" in argument]


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    made = World(**options)
    try:
        yield made
    finally:
        await made.sink.aclose()


@virtual_time
async def test_each_event_is_one_message_to_the_threads_group_with_the_events_own_json() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        await w.sink.send("t", batch("r1", 1, 2))
        stored = await events_of(w.sink, "t")

    assert w.service.asked == [f"POST {GROUP}/:send"] * 3
    assert [request.content for request in w.service.requests] == [
        b'{"target":"%b","arguments":[%b]}' % (event.target.encode(), event.json) for event in stored
    ]


@virtual_time
async def test_order_is_kept_by_waiting_for_each() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.service.delay_s = 1.0
        await w.sink.send("t", batch("r1", 1, 3))

        assert (loop_clock(), w.numbers()) == (3.0, [1, 2, 3])


@virtual_time
async def test_what_fails_is_tried_again_in_order_and_nothing_twice() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.service.script(202, *[503] * 3)
        await w.sink.send("t", batch("r1", 1, 3))
        await w.sink.send("t", batch("r1", 4, end=Terminal("completed")))
        await w.sink.tasks.aclose(grace_s=1_000)

        # Three tries of the second in vain, and what was taken is not sent again.
        assert w.numbers() == [1, 2, 2, 2, 2, 3]
        assert w.sent()[-1]["target"] == "agentDone"
        assert w.sink.undelivered == 0


@virtual_time
async def test_what_the_service_never_takes_does_not_hold_up_what_follows(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.service.script(202, 413, 202)
        await w.sink.send("t", batch("r1", 1, 3))

        assert w.numbers() == [1, 2, 3]
        assert w.delivery.measure()["refused"] == 1
        assert w.delivery.measure()["messages"] == 3
        assert "cannot be delivered" in caplog.text


@virtual_time
async def test_a_slow_service_is_given_the_rest_later() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.service.delay_s = 4.0
        await w.sink.send("t", batch("r1", 1, 9))

        assert loop_clock() <= 13
        await w.sink.tasks.aclose(grace_s=1_000)
        assert w.numbers() == list(range(1, 10))


@virtual_time
async def test_text_that_comes_while_a_send_is_in_flight_becomes_one_message() -> None:
    async with world() as w:
        async with w.sink.run("t") as run:
            run.text("a")
            await asyncio.sleep(0.05)
            w.service.delay_s = 2.0
            for piece in "bcdef":
                run.text(piece)
                await asyncio.sleep(0.2)
        texts = [body["arguments"][0]["text"] for body in w.sent() if body["target"] == "agentMessage"]

        assert texts == ["a", "b", "cdef"]
        assert w.sink.measure()["saved"] == 3


@virtual_time
async def test_a_slow_service_does_not_slow_the_agent() -> None:
    """200 tokens are said in their own time; the end waits for the message that is on its way, the rest, and itself."""
    async with world() as w:
        w.service.delay_s = 0.5
        async with w.sink.run("t") as run:
            begun_at = loop_clock()
            for number in range(200):
                run.text(f"{number} ")
                await asyncio.sleep(0.02)
            said_at = loop_clock()

        assert said_at - begun_at == pytest.approx(200 * 0.02)
        assert loop_clock() - said_at <= 3 * 0.5
        texts = [body["arguments"][0]["text"] for body in w.sent() if body["target"] == "agentMessage"]
        assert "".join(texts) == "".join(f"{number} " for number in range(200))
        assert len(texts) <= 10


@virtual_time
async def test_a_service_that_asks_to_be_left_alone_is_and_text_is_merged_meanwhile() -> None:
    """Longer than a call waits: no try is wasted, and one message says what was said meanwhile."""
    async with world() as w:
        async with w.sink.run("t") as run:
            run.text("a")
            await asyncio.sleep(1)
            w.service.script(httpx.Response(429, headers={"retry-after": "30"}))
            for _ in range(250):
                run.text(".")
                await asyncio.sleep(0.1)
            asked = len(w.service.requests)
        await w.sink.tasks.aclose(grace_s=1_000)
        texts = [body["arguments"][0]["text"] for body in w.sent() if body["target"] == "agentMessage"]

        assert asked == 3
        assert "".join(texts[2:]) == "." * 250
        assert len(texts) <= 7
        assert w.sink.undelivered == 0


@virtual_time
async def test_membership_is_that_of_connections() -> None:
    async with world() as w:
        await w.sink.join("t", "c/1", user_id=ANN.id)
        await w.sink.leave("t", "c/1", user_id=ANN.id)

    assert w.service.asked == [f"PUT {GROUP}/connections/c%2F1", f"DELETE {GROUP}/connections/c%2F1"]


@virtual_time
async def test_who_is_gone_cannot_join_but_may_leave() -> None:
    gone = {"x-ms-error-code": "Error.Connection.NotExisted"}
    async with world() as w:
        w.service.script(httpx.Response(404, headers=gone), httpx.Response(404, headers=gone))
        with pytest.raises(ConnectionGoneError):
            await w.sink.join("t", "c", user_id=None)
        await w.sink.leave("t", "c", user_id=None)


def page(*ids: str, more: str = "") -> httpx.Response:
    body: dict[str, Any] = {"value": [{"connectionId": each} for each in ids]}
    return httpx.Response(200, json={**body, "nextLink": f"https://elsewhere.test/?{more}"} if more else body)


@virtual_time
async def test_members_are_listed_page_by_page_from_the_same_service() -> None:
    async with world() as w:
        w.service.script(page("a", "b", more="continuationToken=x"), page("c"))
        lists = w.sink.ability(ListsMembers)
        assert lists is not None

        assert await lists.members("t") == ["a", "b", "c"]
        assert {request.url.host for request in w.service.requests} == {"x.test"}
        assert w.service.requests[1].url.query == b"continuationToken=x"
        await w.delivery.deliver("t", await events_of_one())
        assert w.delivery.measure()["billed"] == 3


async def events_of_one() -> list[Any]:
    return [record.at("1", 1) for record in batch("r1", 1).records]


@virtual_time
async def test_pages_that_go_round_come_to_an_end() -> None:
    async with world() as w:
        w.service.script(page("a", more="x"), page("b", more="y"), page("c", more="x"))

        assert await w.delivery.members("t") == ["a", "b", "c"]


@virtual_time
async def test_dissolving_removes_who_is_listed() -> None:
    async with world() as w:
        w.service.script(page("a", "b"))
        await w.sink.dissolve("t")

    assert w.service.asked[1:] == [f"DELETE {GROUP}/connections/a", f"DELETE {GROUP}/connections/b"]


@virtual_time
async def test_clients_connect_to_the_client_endpoint_with_a_token_for_the_service() -> None:
    async with world(connection_string=f"Endpoint={HOST};AccessKey={KEY};ClientEndpoint=https://edge.test/a") as w:
        info = await w.sink.connect_info(ANN, "https://host.test")

    claims = jwt.decode(info.access_token, options={"verify_signature": False})
    assert info.url == "https://edge.test/a/client/?hub=chat"
    assert (claims["aud"], claims["nameid"]) == (f"{HOST}/client/?hub=chat", ANN.id)
    assert claims["exp"] - claims["iat"] == 3_600
    assert w.service.requests == []


@virtual_time
async def test_calls_go_to_the_server_endpoint() -> None:
    async with world(connection_string=f"Endpoint={HOST};AccessKey={KEY};ServerEndpoint=https://in.test:444/a") as w:
        await w.sink.join("t", "c", user_id=None)

    assert str(w.service.requests[0].url).startswith("https://in.test:444/a/api/hubs/chat/groups/t/connections/c?")


@virtual_time
async def test_readiness_asks_for_health_and_once_whether_the_key_is_right() -> None:
    absent = httpx.Response(404, headers={"x-ms-error-code": "Warning.Group.NotExisted"})
    async with world() as w:
        w.service.script(200, absent, 200)
        await w.sink.check()
        await w.sink.check()

    assert w.service.asked == ["HEAD /api/health", "HEAD /api/hubs/chat/groups/streamsink%3Fready", "HEAD /api/health"]


@virtual_time
async def test_readiness_says_what_is_wrong() -> None:
    async with world() as w:
        w.service.script(200, 401)
        with pytest.raises(UnavailableError, match="credentials"):
            await w.sink.check()


@virtual_time
async def test_deliveries_that_fail_are_seen_though_the_service_says_it_is_well() -> None:
    async with world() as w:
        await begun(w.sink, "t")
        w.service.script(*[429] * 200)
        await w.sink.send("t", batch("r1", 1))
        await w.sink.tasks.aclose(grace_s=1_000)
        w.service.steps.clear()

        measures = w.sink.ability(Measures)
        assert measures is not None
        assert measures.measure()["failed"] > 0
        assert w.sink.undelivered == 1
        with pytest.raises(UnavailableError, match="quota"):
            await w.sink.check()
        await asyncio.sleep(61)
        await w.sink.check()
