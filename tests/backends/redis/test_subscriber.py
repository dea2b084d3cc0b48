"""Channels on a real server, over losses of every kind."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from streamsink.backends.redis.endpoint import Endpoint
from streamsink.backends.redis.subscriber import Subscriber
from streamsink.core.errors import UnavailableError
from streamsink.testing.valkey import ValkeyServer, free_port

from .scripted_server import GREETING, Ear, about, answering, usual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.service


class Finder:
    """Says where to connect, and tells how often it was asked."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.calls: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self) -> Endpoint:
        self.calls.put_nowait(None)
        return self.endpoint


@asynccontextmanager
async def subscribing(
    where: str | Endpoint | Callable[[], Awaitable[Endpoint]], **options: Any
) -> AsyncIterator[Subscriber]:
    if isinstance(where, str):
        where = Endpoint.from_url(where)
    find = Finder(where) if isinstance(where, Endpoint) else where
    subscriber = Subscriber(find, **{"retry_first_s": 0.01, "retry_longest_s": 0.1, **options})
    try:
        yield subscriber
    finally:
        await subscriber.aclose()


@pytest.fixture
def channel() -> bytes:
    return f"streamsink:{{{uuid4().hex}}}".encode()


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as client:
        yield client


async def command(client: Any, *words: bytes | str) -> Any:
    return await client.execute_command(*words)


async def publish(client: Redis, channel: bytes, payload: bytes) -> int:
    return int(await command(client, "SPUBLISH", channel, payload))


async def publish_to(server: ValkeyServer, channel: bytes, payload: bytes) -> int:
    async with Redis.from_url(server.url) as client:
        return await publish(client, channel, payload)


async def subscribers(client: Redis, channel: bytes) -> int:
    return int((await command(client, "PUBSUB", "SHARDNUMSUB", channel))[1])


async def test_what_is_published_after_listen_is_heard(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    ear = Ear()
    async with subscribing(valkey.url) as subscriber:
        await subscriber.listen(channel, ear)

        assert await publish(client, channel, b"1\r\n\x00\xff") == 1
        assert await publish(client, channel, b"") == 1

        assert [await ear.messages.get(), await ear.messages.get()] == [b"1\r\n\x00\xff", b""]
        assert subscriber.is_connected
        await subscriber.check()
    assert not subscriber.is_connected


async def test_concurrent_first_listens_share_one_subscription(
    valkey: ValkeyServer, client: Redis, channel: bytes
) -> None:
    async def asked() -> int:
        calls: int = (await client.info("commandstats")).get("cmdstat_ssubscribe", {"calls": 0})["calls"]
        return calls

    one, other = Ear(), Ear()
    before = await asked()
    async with subscribing(valkey.url) as subscriber:
        await asyncio.gather(
            subscriber.listen(channel, one), subscriber.listen(channel, other), subscriber.listen(channel, one)
        )
        assert await asked() == before + 1
        await publish(client, channel, b"x")

        assert [await one.messages.get(), await other.messages.get()] == [b"x", b"x"]
        assert one.messages.empty()


async def test_unlisten_leaves_the_channel_with_the_last(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    one, other = Ear(), Ear()
    async with subscribing(valkey.url) as subscriber:
        await subscriber.listen(channel, one)
        await subscriber.listen(channel, other)
        subscriber.unlisten(channel, one)
        subscriber.unlisten(channel, one)
        await publish(client, channel, b"x")
        await other.messages.get()
        assert one.messages.empty()

        subscriber.unlisten(channel, other)
        await subscriber.listen(channel + b"2", one)  # replies come in order

        assert await subscribers(client, channel) == 0


async def test_leaving_and_coming_back_at_once_hears(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    one, other = Ear(), Ear()
    async with subscribing(valkey.url) as subscriber:
        await subscriber.listen(channel, one)
        first = asyncio.create_task(subscriber.listen(channel + b"2", other))
        subscriber.unlisten(channel, one)
        await asyncio.sleep(0)  # it goes out
        await subscriber.listen(channel, one)
        await first

        assert await publish(client, channel, b"x") == 1
        assert await one.messages.get() == b"x"
        assert one.gaps.empty()


async def test_more_channels_than_one_portion(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    ear = Ear()
    names = [channel + b"%d" % number for number in range(2_500)]
    async with subscribing(valkey.url) as subscriber:
        await asyncio.gather(*(subscriber.listen(name, ear) for name in names))

        assert await publish(client, names[-1], b"x") == 1
        await client.client_kill_filter(_type="pubsub")
        for _ in names:
            await ear.gaps.get()


async def test_a_lost_connection_comes_back_with_a_gap(
    valkey: ValkeyServer, client: Redis, channel: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamsink")
    ear, late = Ear(), Ear()
    async with subscribing(valkey.url) as subscriber:
        await subscriber.listen(channel, ear)
        await client.client_kill_filter(_type="pubsub")
        await ear.gaps.get()
        await subscriber.listen(channel, late)

        await publish(client, channel, b"x")

        assert [await ear.messages.get(), await late.messages.get()] == [b"x", b"x"]
        assert ear.gaps.empty()
        assert late.gaps.empty()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "the connection to Redis was lost" in caplog.text


async def test_a_restart_of_the_server(channel: bytes, caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear()
    with ValkeyServer() as server:
        async with subscribing(server.url) as subscriber:
            await subscriber.listen(channel, ear)
            await asyncio.to_thread(server.stop)
            waiting = asyncio.create_task(subscriber.listen(channel + b"2", ear))
            await asyncio.to_thread(server.start)

            await waiting
            await ear.gaps.get()

            assert await publish_to(server, channel, b"x") == 1
            assert await publish_to(server, channel + b"2", b"y") == 1
            assert [await ear.messages.get(), await ear.messages.get()] == [b"x", b"y"]
            assert ear.gaps.empty()  # the other one had not been confirmed before
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


async def test_a_server_that_stands_still_is_noticed(channel: bytes) -> None:
    ear = Ear()
    with ValkeyServer() as server:
        find = Finder(Endpoint.from_url(server.url))
        async with subscribing(find, timeout_s=0.3, ping_s=0.05) as subscriber:
            await subscriber.listen(channel, ear)
            await find.calls.get()
            server.pause()

            await find.calls.get()  # it looks for another connection
            with pytest.raises(UnavailableError, match="Redis did not answer in time"):
                await subscriber.check()
            with pytest.raises(UnavailableError, match="Redis did not answer in time"):
                await subscriber.listen(channel + b"2", ear)
            server.resume()
            await ear.gaps.get()

            await subscriber.check()
            assert await publish_to(server, channel, b"x") == 1


async def test_silence_is_no_loss_while_pings_are_answered(channel: bytes) -> None:
    pings: asyncio.Queue[None] = asyncio.Queue()

    def answer(command: list[bytes]) -> bytes:
        if command == [b"PING"]:
            pings.put_nowait(None)
            return b"+PONG\r\n" if pings.qsize() % 2 else b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        return usual(command)

    ear = Ear()
    async with answering(answer) as endpoint:
        find = Finder(endpoint)
        async with subscribing(find, timeout_s=0.05, ping_s=0.01) as subscriber:
            await subscriber.listen(channel, ear)
            for _ in range(4):
                await pings.get()

            assert subscriber.is_connected
            assert find.calls.qsize() == 1


async def test_nobody_there(channel: bytes, caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear()
    async with subscribing(Endpoint(host="127.0.0.1", port=free_port()), timeout_s=0.1) as subscriber:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await subscriber.check()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await subscriber.listen(channel, ear)
        assert channel not in subscriber._subscriptions.routes
        subscriber.unlisten(channel, ear)
    assert len(caplog.records) == 1


async def test_waits_grow_up_to_a_bound_and_are_jittered(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    enough = asyncio.Event()
    sleep = asyncio.sleep

    async def record(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            enough.set()
        await sleep(0)

    monkeypatch.setattr("streamsink.backends.redis.subscriber.asyncio.sleep", record)
    nowhere = Endpoint(host="127.0.0.1", port=free_port())
    async with subscribing(nowhere, retry_first_s=1, retry_longest_s=4, random=lambda: 0.5) as subscriber:
        with pytest.raises(UnavailableError):
            await subscriber.check()
        await enough.wait()

    assert waits[:5] == [0.75, 1.5, 3, 3, 3]


async def test_a_user_with_few_rights(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    rights = ("resetchannels", "&streamsink:*", "-@all", "+ssubscribe", "+sunsubscribe", "+ping")
    await command(client, "ACL", "SETUSER", "reader", "on", ">p@ss w:rd", *rights)
    endpoint = replace(Endpoint.from_url(valkey.url), username="reader", password="p@ss w:rd")
    ear = Ear()
    async with subscribing(endpoint) as subscriber:
        await subscriber.listen(channel, ear)
        assert await publish(client, channel, b"x") == 1
        assert await ear.messages.get() == b"x"
        names = {each["name"]: each["user"] for each in await client.client_list()}
        assert names["streamsink-subscriber"] == "reader"

        with pytest.raises(UnavailableError, match=r"docs/redis\.md"):
            await subscriber.listen(b"elsewhere", ear)
        assert subscriber.is_connected
        assert await publish(client, channel, b"y") == 1


async def test_a_wrong_password_is_said_and_not_shown(
    valkey: ValkeyServer, client: Redis, channel: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await command(client, "ACL", "SETUSER", "closed", "on", ">right", "-@all")
    url = valkey.url.replace("redis://", "redis://closed:hunter2@")
    async with subscribing(url, timeout_s=0.2) as subscriber:
        with pytest.raises(UnavailableError, match="refused the user or the password in STREAM_REDIS_URL") as caught:
            await subscriber.check()
        with pytest.raises(UnavailableError, match="refused the user"):
            await subscriber.listen(channel, Ear())
    assert "hunter2" not in f"{caught.value!r} {caplog.text} {Endpoint.from_url(url)!r}"


async def test_a_password_that_is_missing(channel: bytes) -> None:
    with ValkeyServer("--requirepass", "right") as server:
        async with subscribing(server.url, timeout_s=0.2) as subscriber:
            with pytest.raises(UnavailableError, match="STREAM_REDIS_URL has none"):
                await subscriber.check()
        async with subscribing(server.url.replace("redis://", "redis://:right@")) as subscriber:
            await subscriber.listen(channel, Ear())


async def test_a_unix_socket(tmp_path: Path, channel: bytes) -> None:
    path = tmp_path / "valkey.sock"
    ear = Ear()
    with ValkeyServer("--unixsocket", str(path)) as server:
        async with subscribing(f"unix://{path}") as subscriber:
            await subscriber.listen(channel, ear)
            assert await publish_to(server, channel, b"x") == 1
            assert await ear.messages.get() == b"x"


async def test_closing_tells_who_waits_and_may_be_repeated(valkey: ValkeyServer, channel: bytes) -> None:
    async with subscribing(valkey.url) as subscriber:
        waiting = asyncio.create_task(subscriber.listen(channel, Ear()))
        checking = asyncio.create_task(subscriber.check())
        await asyncio.sleep(0)
        await asyncio.gather(subscriber.aclose(), subscriber.aclose())
        await subscriber.aclose()

        for task in (waiting, checking, subscriber.listen(channel, Ear()), subscriber.check()):
            with pytest.raises(UnavailableError, match="closed"):
                await task
        subscriber.unlisten(channel, Ear())
        assert not subscriber.is_connected


async def test_closing_what_was_never_used() -> None:
    async with subscribing(Endpoint()):
        pass


async def test_a_listener_taken_back_while_it_waits(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    ear = Ear()
    async with subscribing(valkey.url) as subscriber:
        waiting = asyncio.create_task(subscriber.listen(channel, ear))
        await asyncio.sleep(0)
        subscriber.unlisten(channel, ear)

        with pytest.raises(UnavailableError, match="nobody wants"):
            await waiting
        await subscriber.listen(channel + b"2", ear)
        assert await subscribers(client, channel) == 0


async def test_a_cancelled_listen_does_not_listen(valkey: ValkeyServer, client: Redis, channel: bytes) -> None:
    ear = Ear()
    async with subscribing(valkey.url) as subscriber:
        await subscriber.listen(channel + b"2", ear)
        waiting = asyncio.create_task(subscriber.listen(channel, ear))
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await subscriber.listen(channel + b"3", ear)

        assert await subscribers(client, channel) == 0


class Clumsy(Ear):
    """Fails at everything, and says what it was told."""

    def on_messages(self, payloads: Sequence[bytes]) -> None:
        super().on_messages(payloads)
        raise LookupError(*payloads)

    def on_gap(self) -> None:
        super().on_gap()
        raise LookupError("gap")


async def test_a_failing_listener_harms_nobody(
    valkey: ValkeyServer, client: Redis, channel: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    clumsy, ear = Clumsy(), Ear()
    async with subscribing(valkey.url) as subscriber:
        await subscriber.listen(channel, clumsy)
        await subscriber.listen(channel, ear)
        await publish(client, channel, b"private")
        await publish(client, channel, b"private")
        assert [await ear.messages.get(), await ear.messages.get()] == [b"private"] * 2
        await client.client_kill_filter(_type="pubsub")
        await ear.gaps.get()

        assert clumsy.gaps.qsize() == 1
        assert subscriber.is_connected
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING", "ERROR"]
    assert "LookupError at " in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (GREETING.replace(b"7.2.4", b"6.2.4"), "needs Redis 7 or newer, or Valkey; this one is 6"),
        (b"-ERR unknown command `HELLO`, with args beginning with: `2`, `AUTH`, `secret`\r\n", "needs Redis 7"),
        (b"-NOPROTO unsupported protocol version\r\n", "needs Redis 7"),
        (b"-DENIED Redis is running in protected mode because secret\r\n", r"refused the connection \(DENIED\)"),
        (b"+OK\r\n", "needs Redis 7"),
        (b"*2\r\n$7\r\nversion\r\n$1\r\n?\r\n", "needs Redis 7"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "makes no sense"),
        (GREETING + GREETING, "makes no sense"),
        (b"*0\r\n", "makes no sense"),
    ],
)  # fmt: skip
async def test_servers_that_will_not_do(greeting: bytes, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        answering(lambda _: greeting) as endpoint,
        subscribing(replace(endpoint, password="secret")) as subscriber,
    ):
        with pytest.raises(UnavailableError, match=reason) as caught:
            await subscriber.check()
    assert "secret" not in f"{caught.value} {caplog.text}"


@pytest.mark.parametrize("reply", [b":1\r\n", b"$-1\r\n", b"+OK\r\n", about(b"ssubscribe", b"other"), b"*0\r\n", b"?"])
async def test_a_server_that_makes_no_sense_later_is_left(
    channel: bytes, reply: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    ear = Ear()
    answers = iter([reply])
    async with (
        answering(lambda c: usual(c) if c[0] == b"HELLO" else next(answers, usual(c))) as endpoint,
        subscribing(endpoint) as subscriber,
    ):
        await subscriber.listen(channel, ear)
    assert "Redis answered something that makes no sense" in caplog.text


async def test_finding_may_fail(channel: bytes) -> None:
    failures: list[Exception] = [RedisConnectionError("secret"), UnavailableError("no master is known")]
    reasons = ["cannot be reached (ConnectionError)", "no master is known"]
    for failure, reason in zip(failures, reasons, strict=True):

        async def find(failure: Exception = failure) -> Endpoint:
            raise failure

        async with subscribing(find) as subscriber:
            with pytest.raises(UnavailableError) as caught:
                await subscriber.check()
            assert reason in str(caught.value)


async def test_a_channel_that_moves_is_followed(channel: bytes) -> None:
    """As on a cluster: its slot goes elsewhere, the old server points there, and the search begins anew."""
    ear = Ear()
    seen: list[list[bytes]] = []

    def old(command: list[bytes]) -> bytes:
        seen.append(command)
        if command[0] == b"SSUBSCRIBE" and seen.count(command) == 1:
            return about(b"ssubscribe", channel) + about(b"sunsubscribe", channel)
        return usual(command) if command[0] == b"HELLO" else b"-MOVED 1 127.0.0.1:1\r\n"

    async with answering(old) as first, answering(usual) as second:
        places = iter([first])

        async def find() -> Endpoint:
            return next(places, second)

        async with subscribing(find) as subscriber:
            await subscriber.listen(channel, ear)
            await ear.gaps.get()

            assert subscriber.is_connected
    assert [command[0] for command in seen] == [b"HELLO", b"SSUBSCRIBE", b"SSUBSCRIBE"]


async def test_a_refusal_is_told_at_once(channel: bytes) -> None:
    def answer(command: list[bytes]) -> bytes:
        return usual(command) if command[0] == b"HELLO" else b"-CLUSTERDOWN secret\r\n"

    async with answering(answer) as endpoint, subscribing(endpoint) as subscriber:
        with pytest.raises(UnavailableError, match=r"refused a subscription \(CLUSTERDOWN\)$"):
            await subscriber.listen(channel, Ear())
        assert subscriber.is_connected


async def test_a_channel_that_has_moved_is_told_and_the_connection_stays(channel: bytes) -> None:
    has_moved = False
    asked: list[bytes] = []

    def answer(command: list[bytes]) -> bytes:
        asked.append(command[0])
        if command[0] == b"SSUBSCRIBE" and has_moved:
            return b"-MOVED 1 127.0.0.1:7000\r\n"
        if command[0] == b"PING" and has_moved:
            return about(b"sunsubscribe", channel) + usual(command)  # the slot goes elsewhere
        return usual(command)

    ear, moved = Ear(), asyncio.Queue[tuple[bytes, str]]()
    async with (
        answering(answer) as endpoint,
        subscribing(endpoint, ping_s=0.05, on_moved=lambda *told: moved.put_nowait(told)) as subscriber,
    ):
        await subscriber.listen(channel, ear)
        has_moved = True

        assert await moved.get() == (channel, "MOVED 1 127.0.0.1:7000")
        with pytest.raises(UnavailableError, match="MOVED"):
            await subscriber.listen(channel + b"2", Ear())
        assert (await moved.get())[0] == channel + b"2"
        subscriber.unlisten(channel, ear)
        has_moved = False
        await subscriber.listen(channel, ear)
        assert ear.gaps.empty()
    assert asked.count(b"HELLO") == 1
