"""Connection tokens of many nodes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis.connection_tokens import SignedConnectionTokens
from streamsink.core.errors import ConflictError, NotFoundError, UnavailableError
from tests.backends.gateway.support import ManualClock

from .support import fresh_keys, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streamsink.backends.gateway.connection_tokens import Issued, TokenState
    from streamsink.backends.redis.keys import Keys
    from streamsink.backends.redis.scripts import Script
    from streamsink.backends.redis.store import RedisStore
    from streamsink.testing.valkey import ValkeyServer

pytestmark = pytest.mark.service

SECRETS = [b"k" * 32]
ANN: dict[str, Any] = {"hub": "chat", "user_id": "ann"}
NOBODY: dict[str, Any] = {"hub": "chat", "user_id": None}


class Deployment:
    """Nodes that share a Redis, on one clock unless they are given their own."""

    def __init__(self, store: RedisStore, keys: Keys) -> None:
        self.store = store
        self.keys = keys
        self.clock = ManualClock(1_700_000_000.0)
        self.first = self.node("first")
        self.second = self.node("second")

    def node(self, node_id: str, **options: Any) -> SignedConnectionTokens:
        given = {"clock": self.clock, "store": self.store, "keys": self.keys, "secrets": SECRETS, **options}
        return SignedConnectionTokens(node_id=node_id, **given)

    async def record(self, connection_id: str) -> bytes | None:
        found = await self.store.client.get(self.keys.connection(connection_id))
        assert not isinstance(found, str)
        return found

    async def lives_ms(self, connection_id: str) -> int:
        left: int = await self.store.client.pttl(self.keys.connection(connection_id))
        return left

    async def lose(self, connection_id: str) -> None:
        await self.store.client.delete(self.keys.connection(connection_id))


class Recorder:
    """A store that counts what is under way."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.under_way = 0
        self.most = 0
        self.calls = 0

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Any] = ()) -> Any:
        self.calls += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self._store.run(script, keys, args)
        finally:
            self.under_way -= 1


class LosesTheFirstAnswer(Recorder):
    """A store that asks again, as redis-py does on a connection that has gone stale."""

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Any] = ()) -> Any:
        await super().run(script, keys, args)
        return await super().run(script, keys, args)


@pytest.fixture
async def nodes(valkey: ValkeyServer) -> AsyncIterator[Deployment]:
    store = open_store(valkey)
    yield Deployment(store, fresh_keys())
    await store.aclose()


async def states(nodes: Deployment, issued: Issued) -> tuple[TokenState, TokenState]:
    return await nodes.first.state(issued.token, **ANN), await nodes.second.state(issued.token, **ANN)


async def test_a_token_is_good_once_on_any_node(nodes: Deployment) -> None:
    issued = await nodes.first.issue(**ANN, is_secret=True)
    assert await states(nodes, issued) == ("waiting", "waiting")
    assert await nodes.first.node_of(issued.connection_id) is None

    assert await nodes.second.claim(issued.token, **ANN) == issued.connection_id

    assert await states(nodes, issued) == ("connected", "connected")
    assert await nodes.first.node_of(issued.connection_id) == "second"
    for node in (nodes.first, nodes.second):
        with pytest.raises(ConflictError, match="in use"):
            await node.claim(issued.token, **ANN)
    assert (len(nodes.first), len(nodes.second)) == (0, 1)


async def test_after_its_connection_a_token_is_unknown_everywhere(nodes: Deployment) -> None:
    issued = await nodes.first.issue(**ANN, is_secret=True)
    await nodes.second.claim(issued.token, **ANN)

    await nodes.second.release(issued.token)
    await nodes.second.release(issued.token)

    assert await states(nodes, issued) == ("unknown", "unknown")
    assert await nodes.first.node_of(issued.connection_id) is None
    for node in (nodes.first, nodes.second):
        with pytest.raises(NotFoundError, match="No Connection with that ID"):
            await node.claim(issued.token, **ANN)


async def test_of_many_who_claim_a_token_one_gets_it(nodes: Deployment) -> None:
    issued = await nodes.first.issue(**ANN, is_secret=True)

    claims = [node.claim(issued.token, **ANN) for node in (nodes.first, nodes.second) for _ in range(100)]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)

    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [issued.connection_id]
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 199


async def test_without_a_secret_the_id_connects(nodes: Deployment) -> None:
    issued = await nodes.first.issue(**NOBODY, is_secret=False)

    assert issued.token == issued.connection_id
    assert await nodes.second.claim(issued.token, **NOBODY) == issued.connection_id
    assert await nodes.first.node_of(issued.connection_id) == "second"

    await nodes.second.release(issued.token)
    assert await nodes.first.state(issued.token, **NOBODY) == "unknown"


async def test_the_public_id_does_not_connect_where_there_is_a_secret(nodes: Deployment) -> None:
    issued = await nodes.first.issue(**ANN, is_secret=True)

    assert issued.token.startswith(f"{issued.connection_id}.")
    with pytest.raises(NotFoundError):
        await nodes.first.claim(issued.connection_id, **ANN)


@pytest.mark.parametrize("is_secret", [True, False])
@pytest.mark.parametrize(("hub", "user_id"), [("chat", "bob"), ("chat", None), ("chat", ""), ("other", "ann")])
async def test_somebody_elses_token_is_unknown(
    nodes: Deployment, hub: str, user_id: str | None, is_secret: bool
) -> None:
    issued = await nodes.first.issue(**ANN, is_secret=is_secret)
    for _ in range(2):  # before and while it is connected
        assert await nodes.second.state(issued.token, hub=hub, user_id=user_id) == "unknown"
        with pytest.raises(NotFoundError):
            await nodes.second.claim(issued.token, hub=hub, user_id=user_id)
        if not len(nodes.second):
            await nodes.second.claim(issued.token, **ANN)


async def test_what_nobody_signed_is_refused_without_asking_redis(nodes: Deployment) -> None:
    store = Recorder(nodes.store)
    node = nodes.node("third", store=store)
    issued = await node.issue(**ANN, is_secret=True)
    forged = issued.token[:-1] + ("B" if issued.token.endswith("A") else "A")

    assert await node.state(forged, **ANN) == "unknown"
    with pytest.raises(NotFoundError):
        await node.claim(forged, **ANN)
    await node.release(forged)

    assert store.calls == 0


async def test_a_secret_is_replaced_node_by_node(nodes: Deployment) -> None:
    new = b"n" * 32
    ready = nodes.node("ready", secrets=[*SECRETS, new])
    switched = nodes.node("switched", secrets=[new, *SECRETS])
    of_new = await switched.issue(**ANN, is_secret=True)
    of_old = await ready.issue(**ANN, is_secret=True)

    assert await ready.claim(of_new.token, **ANN) == of_new.connection_id
    assert await switched.claim(of_old.token, **ANN) == of_old.connection_id


@pytest.mark.parametrize("is_secret", [True, False])
async def test_an_unused_token_is_good_for_its_life_and_the_clocks_difference(
    nodes: Deployment, is_secret: bool
) -> None:
    first, second = [await nodes.first.issue(**ANN, is_secret=is_secret) for _ in range(2)]
    nodes.clock.advance(19.9)
    assert await nodes.second.state(first.token, **ANN) == "waiting"
    assert await nodes.second.claim(first.token, **ANN) == first.connection_id

    nodes.clock.advance(0.1)

    assert await nodes.second.state(second.token, **ANN) == "unknown"
    with pytest.raises(NotFoundError):
        await nodes.second.claim(second.token, **ANN)


@pytest.mark.parametrize("ahead_s", [-5.0, 5.0])
async def test_clocks_may_differ_a_little(nodes: Deployment, ahead_s: float) -> None:
    other = nodes.node("other", clock=lambda: nodes.clock.now + ahead_s)
    issued = await other.issue(**ANN, is_secret=True)

    nodes.clock.advance(14.9)

    assert await nodes.first.claim(issued.token, **ANN) == issued.connection_id


async def test_a_host_whose_clock_is_ahead_makes_no_long_lived_tokens(
    nodes: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    other = nodes.node("other", clock=lambda: nodes.clock.now + 6)

    with caplog.at_level(logging.WARNING, "streamsink"):
        for _ in range(2):
            issued = await other.issue(**ANN, is_secret=True)
            assert await nodes.first.state(issued.token, **ANN) == "unknown"
            with pytest.raises(NotFoundError):
                await nodes.first.claim(issued.token, **ANN)

    assert [record.getMessage() for record in caplog.records] == [
        "connection tokens are refused: the clocks of two hosts differ by 6000 ms or more"
    ]


async def test_a_connection_outlives_its_token(nodes: Deployment) -> None:
    """Long polling shows its token with every request."""
    issued = await nodes.first.issue(**ANN, is_secret=True)
    await nodes.first.claim(issued.token, **ANN)

    nodes.clock.advance(3_000)

    assert await states(nodes, issued) == ("connected", "connected")
    with pytest.raises(ConflictError):
        await nodes.second.claim(issued.token, **ANN)
    await nodes.first.release(issued.token)
    with pytest.raises(NotFoundError):
        await nodes.second.claim(issued.token, **ANN)


@pytest.mark.parametrize(("life_s", "used_s", "tombstone_s"), [(15.0, 0.0, 60), (300.0, 50.0, 260), (15.0, 999.0, 60)])
async def test_a_tombstone_outlives_the_token(
    nodes: Deployment, life_s: float, used_s: float, tombstone_s: int
) -> None:
    """On whichever clock: its last second may be two differences away from here."""
    node = nodes.node("node", life_s=life_s)
    issued = await node.issue(**ANN, is_secret=True)
    await node.claim(issued.token, **ANN)
    nodes.clock.advance(used_s)

    await node.release(issued.token)

    assert await nodes.record(issued.connection_id) == b""
    assert tombstone_s * 1000 - 5_000 < await nodes.lives_ms(issued.connection_id) <= tombstone_s * 1000


async def test_a_claim_is_known_for_so_long_after_a_refresh(nodes: Deployment) -> None:
    issued = await nodes.first.issue(**ANN, is_secret=True)
    await nodes.first.claim(issued.token, **ANN)
    assert 3_590_000 < await nodes.lives_ms(issued.connection_id) <= 3_600_000
    await nodes.store.client.pexpire(nodes.keys.connection(issued.connection_id), 60_000)

    await nodes.second.refresh()
    assert await nodes.lives_ms(issued.connection_id) <= 60_000  # not its

    await nodes.first.refresh()
    assert 3_590_000 < await nodes.lives_ms(issued.connection_id) <= 3_600_000


async def test_a_refresh_restores_what_redis_has_lost(nodes: Deployment) -> None:
    lost, over = [await nodes.first.issue(**ANN, is_secret=True) for _ in range(2)]
    for issued in (lost, over):
        await nodes.first.claim(issued.token, **ANN)
        await nodes.lose(issued.connection_id)

    await nodes.first.release(over.token)
    await nodes.first.refresh()

    assert await nodes.second.node_of(lost.connection_id) == "first"
    assert 3_590_000 < await nodes.lives_ms(lost.connection_id) <= 3_600_000
    with pytest.raises(NotFoundError):
        await nodes.second.claim(over.token, **ANN)


async def test_what_another_node_has_got_is_left_to_it(nodes: Deployment) -> None:
    """Redis has lost a claim, and the user has connected elsewhere."""
    issued = await nodes.first.issue(**ANN, is_secret=True)
    await nodes.first.claim(issued.token, **ANN)
    await nodes.lose(issued.connection_id)
    await nodes.second.claim(issued.token, **ANN)

    await nodes.first.refresh()
    await nodes.first.release(issued.token)

    assert await nodes.first.node_of(issued.connection_id) == "second"


async def test_a_refresh_goes_out_in_bounded_batches(nodes: Deployment) -> None:
    store = Recorder(nodes.store)
    node = nodes.node("node", store=store)
    issued = [await node.issue(**ANN, is_secret=True) for _ in range(520)]
    await asyncio.gather(*(node.claim(each.token, **ANN) for each in issued))
    store.most = store.calls = 0

    await node.refresh()

    assert (store.calls, store.most) == (520, 250)


async def test_what_is_released_during_a_refresh_is_not_kept(nodes: Deployment) -> None:
    node = nodes.node("node")
    issued = [await node.issue(**ANN, is_secret=True) for _ in range(300)]
    await asyncio.gather(*(node.claim(each.token, **ANN) for each in issued))

    refreshing = asyncio.create_task(node.refresh())
    await asyncio.gather(*(node.release(each.token) for each in issued))
    await refreshing

    assert {await nodes.record(each.connection_id) for each in issued} == {b""}
    assert max([await nodes.lives_ms(each.connection_id) for each in issued]) <= 60_000


async def test_a_lost_answer_to_a_claim_is_no_conflict(nodes: Deployment) -> None:
    node = nodes.node("node", store=LosesTheFirstAnswer(nodes.store))
    issued = await node.issue(**ANN, is_secret=True)

    assert await node.claim(issued.token, **ANN) == issued.connection_id
    await node.release(issued.token)
    assert await nodes.record(issued.connection_id) == b""


async def test_without_redis_nothing_can_be_told(nodes: Deployment) -> None:
    used, unused = [await nodes.first.issue(**ANN, is_secret=True) for _ in range(2)]
    await nodes.first.claim(used.token, **ANN)
    await nodes.store.aclose()

    assert (await nodes.first.issue(**ANN, is_secret=True)).token
    assert await nodes.first.state(used.token, **ANN) == "connected"
    for call in (
        nodes.first.claim(unused.token, **ANN),
        nodes.first.state(unused.token, **ANN),
        nodes.first.node_of(used.connection_id),
        nodes.first.refresh(),
    ):
        with pytest.raises(UnavailableError):
            await call
    await nodes.first.release(used.token)
    assert len(nodes.first) == 0


@pytest.mark.parametrize("node_id", ["", "a b", "é", "n" * 129])
async def test_node_ids_are_plain(nodes: Deployment, node_id: str) -> None:
    with pytest.raises(ValueError, match="node id"):
        nodes.node(node_id)
