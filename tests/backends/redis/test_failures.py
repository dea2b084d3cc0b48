"""What happens to publishers, gateways and clients when Redis, a connection to it, or a node fails.

Nodes wait half a second for a call and two for the store, and have leases of 0.9 s; a host sweeps every 5 s.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from streamsink.backends.redis.remote import RemoteDelivery
from streamsink.backends.redis.scripts import Scripts
from streamsink.backends.redis.store import RedisStore
from streamsink.core.delivery import Subscribes
from streamsink.core.errors import ConnectionGoneError, RunClosedError, StreamSinkError, UnavailableError
from streamsink.core.events import Terminal
from streamsink.hosts.asgi import StreamApp
from streamsink.testing.checking import batch, begun, conversation, events_of, numbers, request
from streamsink.testing.valkey import ValkeyServer
from tests.e2e.proxy import CuttingProxy, forwarding
from tests.hosts.support import make_agent

from .cluster import GIVE_UP_S, LEASE_S, TIMEOUT_S, Place, in_a_process, serve, two_nodes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from streamsink.backends.redis.scripts import Script
    from streamsink.core.publishing import RunPublisher
    from streamsink.testing.signalr import SignalRClient

pytestmark = [pytest.mark.service, pytest.mark.timeout(30)]

SWEEP_S = 5.0
SLACK_S = 1.5
BEGIN = Scripts().begin
COMPLETED = Terminal("completed", None)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """One that a test may break. What it has confirmed survives a restart."""
    with ValkeyServer("--appendonly", "yes", "--appendfsync", "always") as fragile:
        yield fragile


async def has_heard(client: SignalRClient, last: int) -> bool:
    """Whether a client has everything that the last attempt said: all numbers up to here, and the end."""
    events = [event for event in client.received if "data" in event.data]
    attempt = max((event.data["attempt"] for event in events), default=0)
    said = {event.data["data"] for event in events if event.data["attempt"] == attempt}
    return said == set(range(1, last + 1)) and any(event.target == "agentDone" for event in client.received)


async def eventually(holds: Callable[[], Awaitable[bool]], *, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await holds():  # noqa: ASYNC110  Redis tells nobody
            await asyncio.sleep(0.02)


async def count_to(run: RunPublisher, first: int, last: int) -> None:
    """Say numbers, and let some of them leave."""
    for number in range(first, last + 1):
        run.emit("n", number)
        await asyncio.sleep(0.002)


async def ends(sink: Any, thread: str) -> list[tuple[str, str | None]]:
    """Every terminal of a thread: status and code."""
    found = [event for event in await events_of(sink, thread) if event.target == "agentDone"]
    done = [msgspec.json.decode(event.json) for event in found]
    return [(data["status"], data.get("error", {}).get("code")) for data in done]


# Connections --------------------------------------------------------------------------------------------------------


async def test_what_was_published_while_a_channel_was_cut_arrives(valkey: ValkeyServer) -> None:
    """Again and again, and with nothing from the client: its node reads the stream."""
    place = Place(valkey.url)
    async with two_nodes(place) as (one, other), other.client() as client, place.redis() as redis:
        await one.join("thread", client)
        attempt = await begun(one.sink, "thread")
        for n in range(1, 6):
            assert await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 1
            await one.sink.send("thread", batch("r1", n, attempt=attempt))
            assert await place.listeners(redis, "thread") == 0
            await client.until(n + 1, timeout_s=5)
            await eventually(lambda: reaches(redis, place, 1))

        assert numbers(client.received) == [1, 2, 3, 4, 5]


async def reaches(redis: Any, place: Place, count: int) -> bool:
    """Whether so many nodes listen to the thread."""
    return await place.listeners(redis, "thread") == count


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
async def test_killed_clients_cost_nothing(valkey: ValkeyServer, kind: str) -> None:
    place = Place(valkey.url)
    async with two_nodes(place) as (one, other), other.client() as client, place.redis() as redis:
        killed = 0
        await other.join("thread", client)
        async with one.sink.run("thread") as run:
            for n in range(1, 200, 20):
                await count_to(run, n, n + 19)
                killed += await redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

        assert killed >= 3
        assert run.terminal == COMPLETED
        await eventually(lambda: has_heard(client, 200))
        assert numbers(await events_of(one.sink, "thread")) == list(range(1, 201))


async def test_flushed_scripts_are_loaded_again(valkey: ValkeyServer) -> None:
    place = Place(valkey.url)
    async with two_nodes(place) as (one, other), other.client() as client, place.redis() as redis:
        await one.join("thread", client)
        async with one.sink.run("thread") as run:
            for n in range(1, 100, 10):
                await count_to(run, n, n + 9)
                await redis.script_flush()
        await client.until(target="agentDone")

        assert numbers(client.received) == list(range(1, 101))


# The server ---------------------------------------------------------------------------------------------------------


async def restart(server: ValkeyServer) -> None:
    await asyncio.to_thread(server.restart)


async def pause(server: ValkeyServer) -> None:
    server.pause()
    await asyncio.sleep(3 * TIMEOUT_S)  # longer than a call may take: that is what is tried
    server.resume()


async def fill(server: ValkeyServer) -> None:
    async with Place(server.url).redis() as redis:
        await redis.config_set("maxmemory", "1")
        await asyncio.sleep(TIMEOUT_S)
        await redis.config_set("maxmemory", "0")


async def demote(server: ValkeyServer) -> None:
    """It is a replica of nobody that is there, and then a master again."""
    async with Place(server.url).redis() as redis:
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(TIMEOUT_S)
        await redis.execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("trouble", [restart, pause, fill, demote], ids=lambda trouble: trouble.__name__)
async def test_a_run_outlives_a_short_trouble(
    server: ValkeyServer, trouble: Callable[[ValkeyServer], Coroutine[Any, Any, None]]
) -> None:
    """The publisher waits; the client, which does nothing, hears everything; the history has it once."""
    async with two_nodes(Place(server.url), give_up_s=10) as (one, other), other.client() as client:
        await one.join("thread", client)
        async with one.sink.run("thread") as run:
            await count_to(run, 1, 20)
            hindered = asyncio.create_task(trouble(server))
            await count_to(run, 21, 60)
            await hindered
            await count_to(run, 61, 80)

        assert run.terminal == COMPLETED
        await eventually(lambda: has_heard(client, 80))
        state = await conversation(one.sink, "thread")
        assert [each["status"] for each in state["runs"]] == ["completed"]
        assert await ends(other.sink, "thread") == [("completed", None)]


async def test_publishers_give_up_visibly_and_a_survivor_ends_the_run(server: ValkeyServer) -> None:
    """Within the bound; whoever publishes hears it while it publishes, and at the end."""
    async with Place(server.url).sink() as sink:
        run = sink.run("thread")
        with pytest.raises(UnavailableError, match="Redis"):
            await publish_while(server, run)
        assert run.terminal is None
        await asyncio.to_thread(server.start)
        await eventually(lambda: ended(sink, "thread"))

        assert await ends(sink, "thread") == [("failed", "producer_lost")]


async def publish_while(server: ValkeyServer, run: RunPublisher) -> None:
    """The server is killed; publishing goes on until the publisher says that there is no use."""
    async with run:
        run.text("Half an ")
        await asyncio.to_thread(server.kill)
        async with asyncio.timeout(GIVE_UP_S + TIMEOUT_S + SLACK_S):
            await run.cancelled.wait()
        run.text("answer")


async def ended(sink: Any, thread: str) -> bool:
    """Sweeps, as hosts do."""
    try:
        return bool(await sink.sweep(thread))
    except StreamSinkError:
        return False


async def test_what_a_late_replica_lost_is_said_again(server: ValkeyServer) -> None:
    """The URL stays; behind it a replica that has missed some of the run becomes the master. The client hears the whole
    run again, in a new epoch."""
    with ValkeyServer() as replica:
        proxy = CuttingProxy([server.url])
        async with forwarding(proxy) as port:
            place = Place(f"redis://127.0.0.1:{port}/0")
            async with two_nodes(place, give_up_s=10) as (one, other), other.client() as client:
                await one.join("thread", client)
                async with Place(replica.url).redis() as redis:
                    await follow(redis, server)
                    async with one.sink.run("thread") as run:
                        await count_to(run, 1, 20)
                        await eventually(lambda: has_some_of(redis, place))
                        await redis.execute_command("REPLICAOF", "NO", "ONE")
                        await count_to(run, 21, 40)
                        await client.until(41)  # by the old master, and to be lost
                        proxy.switch(replica.url)
                        await count_to(run, 41, 60)

                await eventually(lambda: has_heard(client, 60))
                assert run.attempt == 2
                assert await said(other.sink, "thread") == list(range(1, 61))
                assert await ends(other.sink, "thread") == [("completed", None)]


async def test_a_first_replica_costs_one_repetition(server: ValkeyServer) -> None:
    """The server takes a new replication id then, as after a failover: a run says everything again, once."""
    place = Place(server.url)
    with ValkeyServer() as replica:
        async with two_nodes(place, give_up_s=10) as (one, other), other.client() as client:
            await one.join("thread", client)
            async with one.sink.run("thread") as run, Place(replica.url).redis() as redis:
                await count_to(run, 1, 20)
                await client.until(21)
                await follow(redis, server)
                await count_to(run, 21, 40)

            await eventually(lambda: has_heard(client, 40))
            assert run.attempt == 2
            assert await said(other.sink, "thread") == list(range(1, 41))
            assert await ends(other.sink, "thread") == [("completed", None)]


async def follow(redis: Any, server: ValkeyServer) -> None:
    """It becomes a replica, and has what the server has."""
    await redis.execute_command("REPLICAOF", "127.0.0.1", str(server.port))
    await eventually(lambda: has_caught_up(redis))


async def has_some_of(redis: Any, place: Place) -> bool:
    """Whether the thread's stream has arrived there."""
    return bool(await redis.xlen(place.keys.stream("thread")))


async def said(sink: Any, thread: str) -> list[int]:
    """The numbers of the last attempt, from the history."""
    events = [event for event in await events_of(sink, thread) if event.target == "agentCustom"]
    found = [msgspec.json.decode(event.json) for event in events]
    return [each["data"] for each in found if each["attempt"] == found[-1]["attempt"]]


async def has_caught_up(redis: Any) -> bool:
    return bool((await redis.info("replication"))["master_link_status"] == "up")


# Readiness ----------------------------------------------------------------------------------------------------------


async def kill(server: ValkeyServer) -> None:
    await asyncio.to_thread(server.kill)


async def freeze(server: ValkeyServer) -> None:
    server.pause()


async def stay_full(server: ValkeyServer) -> None:
    async with Place(server.url).redis() as redis:
        await redis.config_set("maxmemory", "1")


async def stay_a_replica(server: ValkeyServer) -> None:
    async with Place(server.url).redis() as redis:
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (kill, "cannot be reached"),
        (freeze, "did not answer in time"),
        (stay_full, "is full"),
        (stay_a_replica, "is a read-only replica"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_node_says_why_it_is_not_ready(
    server: ValkeyServer, trouble: Callable[[ValkeyServer], Awaitable[None]], reason: str
) -> None:
    place = Place(server.url)
    async with place.sink() as sink:
        app = StreamApp([make_agent()], settings=place.settings(), sink=sink)
        transport = httpx.ASGITransport(app)
        async with app.running(), httpx.AsyncClient(transport=transport, base_url="http://host") as http:
            assert (await http.get("/api/ready")).status_code == 200
            await trouble(server)
            answer = await http.get("/api/ready")

            assert answer.status_code == 503
            assert reason in answer.json()["error"]["message"]
            with pytest.raises(UnavailableError, match=reason):
                await sink.check()
            assert (await http.get("/api/health")).status_code == 200
            assert (await http.post(f"/api/agents/{make_agent().name}/run", content="hello")).status_code == 503


async def test_a_node_without_its_channels_is_not_ready_until_it_has_them_again(valkey: ValkeyServer) -> None:
    """Commands work all the time; what is published would not be heard."""
    place = Place(valkey.url)
    async with place.sink() as sink, place.redis() as redis:
        await sink.check()
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        reasons: list[str] = []
        await eventually(lambda: is_unready(sink, reasons))
        await eventually(lambda: is_ready(sink))

        assert reasons == ["the connection to Redis was lost"]


async def is_ready(sink: Any) -> bool:
    return not await is_unready(sink, [])


async def is_unready(sink: Any, reasons: list[str]) -> bool:
    try:
        await sink.check()
    except UnavailableError as error:
        reasons.append(str(error))
        return True
    return False


async def test_a_beginning_whose_answer_is_lost_is_the_same_beginning(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has done it, and the connection broke before it could say so: the producer asks again, and goes on."""
    lost: list[Any] = []
    run_script = RedisStore.run

    async def run(store: RedisStore, script: Script, keys: Any, args: Any = ()) -> Any:
        answer = await run_script(store, script, keys, args)
        if script == BEGIN and len(lost) < 2:
            lost.append(answer)
            raise UnavailableError("no answer in time")
        return answer

    monkeypatch.setattr(RedisStore, "run", run)
    async with Place(valkey.url).sink(has_gateway=False) as sink:
        async with sink.run("thread") as publisher:
            publisher.text("Hello")
            assert publisher.attempt == 1

        assert len(lost) == 2
        assert await ends(sink, "thread") == [("completed", None)]


# Nodes --------------------------------------------------------------------------------------------------------------


async def test_a_connection_of_a_killed_node_is_gone_soon(valkey: ValkeyServer) -> None:
    place = Place(valkey.url)
    async with serve(place.sink()) as survivor, in_a_process("gateway", place) as process:
        elsewhere = type(survivor)(survivor.sink, process.said)
        async with elsewhere.client() as client:
            await survivor.join("thread", client)
            await begun(survivor.sink, "thread")
            await client.until(1)
            await process.kill()
            async with asyncio.timeout(3.0):
                await client.ended()
                with pytest.raises(ConnectionGoneError):
                    await survivor.join("thread", client)


async def test_a_connection_of_a_node_that_was_cut_off_is_not_gone(valkey: ValkeyServer) -> None:
    """Nobody hears the node's channel until it has subscribed anew; who asks meanwhile is not told that it died."""
    async with two_nodes(Place(valkey.url)) as (one, other), other.client() as client:
        await one.join("thread", client)
        delivery = other.sink.ability(RemoteDelivery)
        assert delivery is not None
        subscriber: Any = delivery._subscriber
        for _ in range(5):
            subscriber._connection.cut("a test")
            await one.join("thread", client)
            await eventually(lambda: connected(subscriber))


async def connected(subscriber: Any) -> bool:
    return bool(subscriber.is_connected)


@pytest.mark.parametrize("kind", ["producer", "waiter"])
async def test_a_killed_producers_run_is_ended_once_though_nobody_watches(valkey: ValkeyServer, kind: str) -> None:
    """By one of two hosts, within the lease and the time between two sweeps; the thread has no reader at all. It makes
    no difference whether the run has begun, or has waited for its turn, for several leases, behind another one."""
    place = Place(valkey.url)
    apps = [StreamApp([make_agent()], settings=place.settings(), sink=place.sink()) for _ in range(2)]
    async with place.redis() as redis, apps[0].running() as one, apps[1].running() as other, one, other:
        channel = redis.pubsub()
        if kind == "waiter":
            await begun(one, "thread", queue_limit=8)
        async with in_a_process(kind, place) as producer:
            await channel.ssubscribe(place.keys.channel("thread"))
            await producer.kill()
        told: list[bytes] = []
        async with asyncio.timeout(LEASE_S + SWEEP_S + SLACK_S):
            while not any(b"agentDone" in each for each in told):
                message = await channel.get_message(timeout=None)
                if message["type"] == "smessage":
                    told.append(message["data"])
        for sink in (one, other):
            assert await sink.sweep() == []
        await channel.aclose()

        assert await ends(one, "thread") == [("failed", "producer_lost")]


async def test_a_cancel_reaches_a_silent_run_of_another_node(valkey: ValkeyServer) -> None:
    """With the next renewal of its lease, after a third of that."""
    async with two_nodes(Place(valkey.url)) as (one, other):
        async with other.sink.run("thread") as run:
            cancelled = await one.sink.cancel("thread")
            assert cancelled.correlation_ids == (run.correlation_id,)
            async with asyncio.timeout(LEASE_S / 3 + SLACK_S):
                await run.cancelled.wait()
            await run.finish("cancelled")

        assert await ends(one.sink, "thread") == [("cancelled", None)]


async def test_runs_of_several_nodes_take_turns(valkey: ValkeyServer) -> None:
    """In the order in which they were accepted; each is woken by the end of the one before."""
    place = Place(valkey.url)
    async with two_nodes(place) as (one, other):
        attempt = await begun(one.sink, "thread", "r1", queue_limit=8)
        await other.sink.accept_run("thread", request("r2", queue_limit=8))
        await one.sink.accept_run("thread", request("r3", queue_limit=8))
        second = asyncio.create_task(other.sink.wait_turn("thread", "r2", timeout_s=20))
        third = asyncio.create_task(one.sink.wait_turn("thread", "r3", timeout_s=20))
        async with place.redis() as redis:
            await eventually(lambda: reaches(redis, place, 2))
        await one.sink.send("thread", batch("r1", 1, attempt=attempt, end=COMPLETED))
        async with asyncio.timeout(1.0):
            assert await second

        assert not third.done()
        attempt = (await other.sink.begin_attempt("thread", "r2", lease_s=LEASE_S)).number
        await other.sink.send("thread", batch("r2", 1, attempt=attempt, end=COMPLETED))
        async with asyncio.timeout(1.0):
            assert await third


async def test_a_delete_ends_membership_and_followers_elsewhere(valkey: ValkeyServer) -> None:
    place = Place(valkey.url)
    async with two_nodes(place) as (one, other), other.client() as client, place.redis() as redis:
        follows = other.sink.ability(Subscribes)
        assert follows is not None
        await one.join("thread", client)
        async with follows.subscribe("thread") as events:
            attempt = await begun(one.sink, "thread")
            await one.sink.send("thread", batch("r1", 1, attempt=attempt))
            async with asyncio.timeout(5):
                assert [(await anext(events)).target for _ in range(2)] == ["userMessage", "agentCustom"]
            await client.until(2)
            assert await reaches(redis, place, 1)
            await one.sink.delete("thread")
            with pytest.raises(StopAsyncIteration):
                async with asyncio.timeout(5):
                    await anext(events)
        await eventually(lambda: reaches(redis, place, 0))

        assert len(client.received) == 2


async def test_a_deleted_threads_publisher_elsewhere_hears_of_it(valkey: ValkeyServer) -> None:
    async with two_nodes(Place(valkey.url)) as (one, other):
        run = other.sink.run("thread")
        await run.begin()
        await one.sink.delete("thread")
        async with asyncio.timeout(LEASE_S / 3 + SLACK_S):
            await run.cancelled.wait()

        with pytest.raises((StreamSinkError, RunClosedError)):
            run.text("more")
