"""What only a timeline in Redis can meet: restarts, failovers, forgotten scripts, hints across threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.settings import RedisSettings
from streamsink.backends.redis.single import Single
from streamsink.backends.redis.store import RedisStore
from streamsink.backends.redis.timeline import RedisTimeline
from streamsink.core.cursor import Cursor
from streamsink.core.errors import EpochChangedError, UnavailableError
from streamsink.core.events import Record, Terminal
from streamsink.core.runs import Appended, Batch, RunRequest
from streamsink.core.runtime import Runtime
from streamsink.core.timeline import Snapshot
from streamsink.testing.checking import place
from streamsink.testing.valkey import ValkeyServer

from .support import StoreClock, fresh_prefix, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from streamsink.backends.redis.scripts import Script

pytestmark = pytest.mark.service


class World:
    """A timeline, its clock and its server."""

    def __init__(self, server: ValkeyServer, *, events: int = 10_000) -> None:
        self.prefix = fresh_prefix()
        self.keys = Keys(self.prefix)
        self.clock = StoreClock(self.prefix)
        self.store = open_store(server)
        self.timeline = RedisTimeline(
            self.store,
            self.keys,
            limits=RedisSettings(events=events, ttl_s=1_000),
            runtime=Runtime(now_ms=lambda: self.clock.now_ms),
            scripts=self.clock.scripts,
        )

    async def begun(self, thread: str = "t", run: str = "r", *, lease_s: float = 30) -> None:
        await self.timeline.accept_run(thread, RunRequest(correlation_id=run, agent_name="a"))
        await self.timeline.begin_attempt(thread, run, lease_s=lease_s)

    async def append(
        self, n: int, *, thread: str = "t", run: str = "r", attempt: int = 1, seen: Cursor | None = None, count: int = 1
    ) -> Appended:
        records = tuple(Record("agentMessage", b'{"n":%d}' % i) for i in range(n, n + count))
        batch = Batch(correlation_id=run, attempt=attempt, first_n=n, records=records, seen=seen)
        return await self.timeline.append(thread, batch)

    async def numbers(self, after: Cursor | None = None) -> list[bytes]:
        page = await self.timeline.read("t", after, limit=10_000, max_bytes=10_000_000)
        return [event.json.partition(b',"seq"')[0] + b"}" for event in page.events]

    async def ttl_s(self, key: bytes) -> int:
        with self.store.mapped():
            return int(await self.store.client.ttl(key))


class AsksTwice(RedisStore):
    """Whose first answers are lost."""

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Any] = ()) -> Any:
        await super().run(script, keys, args)
        return await super().run(script, keys, args)


@pytest.fixture
async def world(valkey: ValkeyServer) -> AsyncIterator[World]:
    world = World(valkey)
    await world.clock.advance(world.store)
    yield world
    await world.timeline.aclose()


async def test_a_run_whose_acceptance_was_told_late_is_fresh(valkey: ValkeyServer) -> None:
    """Whoever accepted it has to execute it: nobody else will. Another request for the same run finds it accepted."""
    store = AsksTwice(Single(valkey.url, 5))
    timeline = RedisTimeline(store, Keys(fresh_prefix()))
    message = Record("userMessage", b'{"n":1}')
    request = RunRequest(correlation_id="r", agent_name="a", message=message, idempotency_key="k")
    first = await timeline.accept_run("t", request)
    again = await timeline.accept_run("t", request)
    page = await timeline.read("t", None, limit=10, max_bytes=10_000)
    await timeline.aclose()

    assert (first.fresh, again.fresh) == (True, False)
    assert [event.target for event in page.events] == ["userMessage"]
    assert first.run.correlation_id == again.run.correlation_id == "r"


async def test_a_restarted_server_begins_an_epoch_and_keeps_what_it_has(tmp_path: Path) -> None:
    with ValkeyServer("--appendonly", "yes", "--appendfsync", "always", folder=tmp_path) as server:
        world = World(server)
        await world.clock.advance(world.store)
        await world.begun()
        first = await world.append(1)
        server.kill()
        with pytest.raises(UnavailableError):
            await world.append(2, seen=first.cursor)
        server.start()

        with pytest.raises(EpochChangedError) as caught:
            await world.append(2, seen=first.cursor)
        again = await world.timeline.begin_attempt("t", "r", lease_s=30)
        appended = await world.append(1, attempt=again.number, count=2)

        assert place(appended).epoch == caught.value.epoch > place(first).epoch
        assert await world.numbers() == [b'{"n":1}', b'{"n":1}', b'{"n":2}']
        assert await world.numbers(first.cursor) == [b'{"n":1}', b'{"n":2}']
        await world.timeline.aclose()


async def test_a_promoted_replica_that_lagged_begins_an_epoch(valkey: ValkeyServer) -> None:
    """Although another producer has brought it past the place that the first one has seen."""
    with ValkeyServer() as master, ValkeyServer("--replicaof", "127.0.0.1", str(master.port)) as replica:
        old, new = World(master), World(replica)
        new.timeline = RedisTimeline(new.store, old.keys, scripts=old.clock.scripts)
        await old.clock.advance(old.store)
        await old.begun()
        await old.begun(run="other")
        kept = await old.append(1)
        with old.store.mapped():
            assert await old.store.client.wait(1, 5_000) == 1
        with new.store.mapped():
            await new.store.client.replicaof("NO", "ONE")
        lost = await old.append(2, seen=kept.cursor)
        master.kill()
        ahead = await new.append(1, run="other", count=5)
        assert place(ahead).epoch > place(kept).epoch

        with pytest.raises(EpochChangedError):
            await new.append(3, seen=lost.cursor)
        page = await new.timeline.read("t", lost.cursor, limit=10, max_bytes=10_000)
        assert page.gone
        await old.timeline.aclose()
        await new.timeline.aclose()


async def test_an_emptied_server_is_told_the_run_again(world: World) -> None:
    await world.begun()
    first = await world.append(1)
    with world.store.mapped():
        await world.store.client.delete(world.keys.stream("t"), world.keys.hash("t"))

    with pytest.raises(EpochChangedError):
        await world.append(2, seen=first.cursor)


async def test_forgotten_scripts_do_not_matter(world: World) -> None:
    await world.begun()
    with world.store.mapped():
        await world.store.client.script_flush()

    assert (await world.append(1)).first_seq == 1


async def test_everything_of_a_thread_expires(world: World) -> None:
    await world.begun()
    await world.append(1)

    assert 990 < await world.ttl_s(world.keys.stream("t")) <= 1_000
    assert 990 < await world.ttl_s(world.keys.hash("t")) <= 1_000


async def test_trimming_keeps_what_no_snapshot_covers(valkey: ValkeyServer) -> None:
    world = World(valkey, events=100)
    await world.clock.advance(world.store)
    await world.begun()
    appended = await world.append(1, count=1_000)
    assert len(await world.numbers()) == 1_000

    at = Cursor(int(appended.epoch), 950)
    assert await world.timeline.put_snapshot("t", Snapshot(at, (b"{}",)), expected=None)

    kept = await world.numbers()
    assert len(kept) == 100
    assert kept[-1] == b'{"n":1000}'
    assert not (await world.timeline.read("t", Cursor(int(appended.epoch), 900), limit=1, max_bytes=1)).gone
    assert (await world.timeline.read("t", Cursor(int(appended.epoch), 899), limit=1, max_bytes=1)).gone
    await world.timeline.aclose()


async def test_trimming_goes_on_while_a_run_goes_on(valkey: ValkeyServer) -> None:
    world = World(valkey, events=100)
    await world.clock.advance(world.store)
    await world.begun()
    appended = await world.append(1, count=300)
    await world.timeline.put_snapshot("t", Snapshot(Cursor(int(appended.epoch), 300), (b"{}",)), expected=None)

    for n in range(301, 1_501, 50):
        await world.append(n, count=50)

    assert len(await world.numbers()) >= 1_200  # none of them is covered by the snapshot
    await world.timeline.aclose()


async def test_a_sweep_finds_lost_producers_in_every_thread(world: World) -> None:
    threads = [f"t{i}" for i in range(5)]
    for thread in threads:
        await world.begun(thread, lease_s=5)
    assert await world.timeline.sweep() == []

    await world.clock.advance(world.store, 6)
    swept = await world.timeline.sweep()

    assert sorted(each.thread for each in swept) == threads
    assert all(b'"producer_lost"' in each.events[-1].json for each in swept)
    assert await world.timeline.sweep() == []
    with world.store.mapped():
        assert await world.store.client.zcard(world.keys.open) == 0


async def test_a_living_producer_is_looked_at_again_later(world: World) -> None:
    await world.begun(lease_s=5)
    await world.clock.advance(world.store, 4)
    await world.timeline.renew("t", "r", 1, lease_s=5)
    await world.clock.advance(world.store, 4)
    assert await world.timeline.sweep() == []

    await world.clock.advance(world.store, 2)

    assert [each.thread for each in await world.timeline.sweep()] == ["t"]


async def test_a_thread_that_cannot_be_swept_does_not_hold_up_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else's value under its key; where nothing else can be done, that is said."""
    await world.begun("bad", lease_s=1)
    await world.begun("t", lease_s=1)
    with world.store.mapped():
        await world.store.client.delete(world.keys.hash("bad"))
        await world.store.client.set(world.keys.hash("bad"), "mine")
    await world.clock.advance(world.store, 2)

    assert [each.thread for each in await world.timeline.sweep()] == ["t"]
    assert "UnavailableError" in caplog.text
    with pytest.raises(UnavailableError):
        await world.timeline.sweep()


async def test_many_nodes_sweep_one_terminal(valkey: ValkeyServer, world: World) -> None:
    others = [World(valkey) for _ in range(3)]
    for other in others:
        other.timeline = RedisTimeline(
            other.store, world.keys, runtime=Runtime(now_ms=lambda: world.clock.now_ms), scripts=world.clock.scripts
        )
    await world.begun(lease_s=5)
    await world.clock.advance(world.store, 6)

    found = await asyncio.gather(*[each.timeline.sweep() for each in (world, *others)])

    assert sum(len(swept) for swept in found) == 1
    run = await world.timeline.get_run("t", "r")
    assert run is not None
    assert run.terminal == Terminal("failed", "producer_lost")
    for other in others:
        await other.timeline.aclose()


async def test_a_run_accepted_during_a_sweep_is_not_forgotten(world: World) -> None:
    await world.begun(lease_s=5)
    await world.clock.advance(world.store, 6)
    async with world.timeline._open.due(world.clock.now_ms) as due:
        assert due.threads == ["t"]
        await world.begun("t", "r2", lease_s=1)
        due.settle("t", None)

    await world.clock.advance(world.store, 2)

    assert [each.thread for each in await world.timeline.sweep()] == ["t"]


async def test_ids_of_any_kind_stay_apart(world: World) -> None:
    for thread in ("a{b}c", "a}", "ü ", "a:b", "{}"):
        await world.begun(thread)
        assert (await world.append(1, thread=thread)).first_seq == 1
        assert len((await world.timeline.read(thread, None, limit=10, max_bytes=1_000)).events) == 1
