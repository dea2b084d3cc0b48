"""Scripts and commands, on a real server, and on one that fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis.scripts import Script
from streamsink.backends.redis.single import Single
from streamsink.backends.redis.store import RedisStore
from streamsink.core.errors import UnavailableError
from streamsink.testing.valkey import ValkeyServer, free_port

from .support import fresh_prefix, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.service

ECHO = Script.of("return ARGV[1]")
WRITE = Script.of("return redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture
async def store(valkey: ValkeyServer) -> AsyncIterator[RedisStore]:
    store = open_store(valkey)
    yield store
    await store.aclose()


async def test_calls_share_round_trips_and_keep_their_answers(store: RedisStore) -> None:
    replies = await asyncio.gather(*[store.run(ECHO, [], [n]) for n in range(1_000)])

    assert replies == [b"%d" % n for n in range(1_000)]


async def test_a_server_that_has_forgotten_the_scripts_is_told_them_again(store: RedisStore) -> None:
    await store.run(ECHO, [], ["once"])
    with store.mapped():
        await store.client.script_flush()

    assert list(await asyncio.gather(*[store.run(ECHO, [], [each]) for each in "ab"])) == [b"a", b"b"]


async def test_what_has_happened_does_not_happen_again_for_others_forgotten_scripts(
    store: RedisStore,
) -> None:
    """Another node may have loaded some of a round trip's scripts, or all of them between two of its calls."""
    count = Script.of("return redis.call('INCR', KEYS[1])")
    unknown = Script.of(f"return '{fresh_prefix()}'")
    key = fresh_prefix().encode()
    await store.run(count, [key])

    assert (await asyncio.gather(store.run(count, [key]), store.run(unknown, [])))[0] == 2


async def test_who_has_gone_does_not_hold_up_the_others(store: RedisStore) -> None:
    gone = asyncio.ensure_future(store.run(ECHO, [], ["gone"]))
    await asyncio.sleep(0)
    gone.cancel()

    assert await store.run(ECHO, [], ["here"]) == b"here"
    assert gone.cancelled()


async def test_a_script_that_fails_fails_alone_and_tells_nothing(store: RedisStore) -> None:
    bad = Script.of("return redis.error_reply('SECRET in ' .. ARGV[1])")

    replies = await asyncio.gather(store.run(bad, [], ["prompt"]), store.run(ECHO, [], ["b"]), return_exceptions=True)

    assert isinstance(replies[0], UnavailableError)
    assert "prompt" not in str(replies[0])
    assert replies[1] == b"b"


async def test_nobody_there_is_said() -> None:
    store = RedisStore(Single(f"redis://user:secret@127.0.0.1:{free_port()}/0", 1), timeout_s=1)

    with pytest.raises(UnavailableError, match="cannot be reached") as caught:
        await store.run(ECHO, [], [""])
    assert "secret" not in str(caught.value)
    with pytest.raises(UnavailableError):
        await store.check(b"k")
    await store.aclose()


async def test_a_paused_server_is_waited_for_so_long(valkey: ValkeyServer) -> None:
    store = open_store(valkey, timeout_s=0.2)
    await store.run(ECHO, [], [""])
    valkey.pause()
    try:
        with pytest.raises(UnavailableError, match="in time"):
            await store.run(ECHO, [], [""])
    finally:
        valkey.resume()
    assert await store.run(ECHO, [], ["back"]) == b"back"
    await store.aclose()


async def _config(store: RedisStore, name: str, value: Any) -> None:
    with store.mapped():
        await store.client.config_set(name, value)


async def test_a_full_server_is_said_to_be_full() -> None:
    with ValkeyServer("--maxmemory-policy", "noeviction") as server:
        store = open_store(server)
        key = fresh_prefix().encode()
        await store.check(key)
        await _config(store, "maxmemory", "1")
        for call in (store.run(WRITE, [key], ["x"]), store.check(key)):
            with pytest.raises(UnavailableError, match="full"):
                await call
        await _config(store, "maxmemory", "0")
        assert await store.run(WRITE, [key], ["x"]) == b"OK"
        await store.aclose()


async def test_a_replica_is_said_to_be_one_and_left(valkey: ValkeyServer) -> None:
    with ValkeyServer("--replicaof", "127.0.0.1", str(valkey.port), "--replica-read-only", "yes") as replica:
        store = open_store(replica)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="read-only replica"):
                await store.run(WRITE, [b"k"], ["x"])
        with pytest.raises(UnavailableError, match="read-only replica"):
            await store.check(b"k")
        with store.mapped():
            await store.client.replicaof("NO", "ONE")
        await store.check(b"k")
        await store.aclose()


async def test_what_waits_is_bounded(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.redis.store._MAX_WAITING", 2)

    replies = await asyncio.gather(*[store.run(ECHO, [], [n]) for n in range(4)], return_exceptions=True)

    assert [type(reply) for reply in replies] == [bytes, bytes, UnavailableError, UnavailableError]


async def test_closing_ends_what_waits_and_is_idempotent(valkey: ValkeyServer) -> None:
    store = open_store(valkey)
    waiting = [asyncio.ensure_future(store.run(ECHO, [], [n])) for n in range(600)]
    await asyncio.sleep(0)

    await store.aclose()
    await store.aclose()

    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, UnavailableError)
    with pytest.raises(UnavailableError, match="closed"):
        await store.run(ECHO, [], [""])
