"""What is known of a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamsink.backends.redis.endpoint import Address
from streamsink.backends.redis.topology import Topology
from streamsink.core.errors import UnavailableError

from .support import SLOTS

A, B, C, D = (Address(name, 1) for name in "abcd")


class Servers:
    """What each of them does when it is asked; those that are not named do not answer."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.cancelled = 0

    async def __call__(self, server: Address) -> Any:
        self.asked.append(server.host)
        await asyncio.sleep(0)
        if server.host not in self.answers:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        answer = self.answers[server.host]
        if isinstance(answer, Exception) and not isinstance(answer, ReplyError):
            raise answer
        return answer


class ReplyError(Exception):
    """As hiredis has them: a value."""


def all_at(host: str, *others: str) -> list[Any]:
    return [[0, SLOTS - 1, *[[each.encode(), 1, b"id"] for each in (host, *others)]]]


async def test_one_that_answers_is_enough() -> None:
    servers = Servers(d=all_at("d"), a=OSError())
    topology = Topology([B, C, D, A], servers, timeout_s=5)
    told: list[None] = []
    topology.watch(lambda: told.append(None))

    addresses = await asyncio.gather(*[topology.master_of(b"%d" % n) for n in range(9)])

    assert set(addresses) == {D} == topology.masters
    assert sorted(servers.asked) == ["a", "b", "c", "d"]
    assert servers.cancelled == 2
    assert len(told) == 1
    await topology.refresh()
    assert len(told) == 1  # nothing is new
    await topology.aclose()


async def test_a_move_is_told_and_looked_into() -> None:
    servers = Servers(a=all_at("a"))
    topology = Topology([A], servers, timeout_s=5)
    assert await topology.master_of(b"k") == A
    told: list[None] = []
    topology.watch(lambda: told.append(None))
    servers.answers["a"] = all_at("b", "a")

    topology.move(b"k", B)
    assert topology.known(b"k") == B
    assert topology.known(b"other") == A
    topology.move(b"k", B)
    await topology.refresh()

    assert topology.masters == {B}
    assert len(told) == 2
    await topology.aclose()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OSError("refused"), "cannot be reached"),
        (TimeoutError(), "in time"),
        (UnavailableError("Redis refused the user"), "refused the user"),
        (ReplyError("ERR This instance has cluster support disabled"), "not one of a cluster"),
        (ReplyError("NOPERM secret"), "docs/redis.md"),
        ([], "without a master"),
    ],
)
async def test_why_nobody_knows_is_said(answer: Any, reason: str) -> None:
    topology = Topology([A, B], Servers(a=answer, b=answer), timeout_s=5)

    for call in (topology.master_of(b"k"), topology.keys_on_each(b"k"), topology.refresh()):
        with pytest.raises(UnavailableError, match=reason):
            await call
    await topology.aclose()


async def test_asking_takes_no_longer_than_allowed() -> None:
    topology = Topology([A, B], Servers(), timeout_s=0.05)

    with pytest.raises(UnavailableError, match="in time"):
        await topology.master_of(b"k")
    await topology.aclose()


async def test_slots_without_a_master_are_said() -> None:
    topology = Topology([A], Servers(a=[[0, 0, [b"a", 1, b"id"]]]), timeout_s=5)

    with pytest.raises(UnavailableError, match="without a master"):
        await topology.master_of(b"k")
    await topology.aclose()


async def test_who_waits_is_told_of_the_end() -> None:
    topology = Topology([A], Servers(), timeout_s=5)
    waiting = asyncio.ensure_future(topology.master_of(b"k"))
    await asyncio.sleep(0)

    await topology.aclose()
    await topology.aclose()

    with pytest.raises(UnavailableError, match="closed"):
        await waiting
    topology.refresh_soon()
    with pytest.raises(UnavailableError, match="closed"):
        await topology.refresh()
