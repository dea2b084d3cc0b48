"""The contract: what reaches a group's connections."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from streamsink.core.delivery import ListsMembers, Subscribes
from streamsink.core.errors import ConnectionGoneError, ForbiddenError
from streamsink.core.events import Terminal
from streamsink.testing.checking import batch, begun, expect, numbers

if TYPE_CHECKING:
    from streamsink.core.runs import Batch
    from streamsink.testing.subject import MakeSubject, Subject

__all__ = ["CHECKS"]

DONE = Terminal("completed")


async def members_receive_in_order(make: MakeSubject) -> None:
    """Everything appended after the join, once, with its place; and the same to each."""
    async with make() as subject, subject.client("alice") as one, subject.client("alice") as two:
        await begun(subject.sink, "t")
        for client in (one, two):
            await subject.sink.join("t", client.connection_id, user_id="alice")
        for n in range(1, 11):
            await subject.sink.send("t", batch("r1", n))
        received = [await client.until(10) for client in (one, two)]

        stored = await subject.events("t")
        for events in received:
            assert numbers(events) == list(range(1, 11))
            assert [f"{event.data['epoch']}:{event.data['seq']}" for event in events] == [
                event.cursor for event in stored[1:]
            ]


async def two_first_joins_both_receive(make: MakeSubject) -> None:
    """Two connections that join an unknown group at the same time both see the next append."""
    async with make() as subject, subject.client("alice") as one, subject.client("alice") as two:
        await begun(subject.sink, "t")
        await asyncio.gather(*(subject.sink.join("t", client.connection_id, user_id="alice") for client in (one, two)))
        await subject.sink.send("t", batch("r1", 1))

        assert [numbers(await client.until(1)) for client in (one, two)] == [[1], [1]]


async def a_join_before_the_first_event_misses_nothing(make: MakeSubject) -> None:
    """Whatever is appended after ``join`` has returned arrives, however soon."""
    async with make() as subject, AsyncExitStack() as clients:
        for round_ in range(10):
            client = await clients.enter_async_context(subject.client("alice"))
            thread = f"t{round_}"
            await begun(subject.sink, thread)
            await subject.sink.join(thread, client.connection_id, user_id="alice")
            await subject.sink.send(thread, batch("r1", 1))

            assert numbers(await client.until(1)) == [1]


async def groups_stay_apart(make: MakeSubject) -> None:
    """A connection sees its groups and no other; names that differ in case, or need escaping, are different groups."""
    async with make() as subject, subject.client("alice") as one, subject.client("bob") as two:
        for thread in ("t", "T", "ü:{t}*"):
            await begun(subject.sink, thread)
        await subject.sink.join("t", one.connection_id, user_id="alice")
        await subject.sink.join("ü:{t}*", one.connection_id, user_id="alice")
        await subject.sink.join("T", two.connection_id, user_id="bob")
        for n, thread in enumerate(("t", "T", "ü:{t}*"), start=1):
            for k in range(1, n + 1):
                await subject.sink.send(thread, batch("r1", k))

        mine = await one.until(4)
        theirs = await two.until(2)
        assert sorted(numbers(mine)) == [1, 1, 2, 3]
        assert numbers(theirs) == [1, 2]


async def who_left_receives_nothing(make: MakeSubject) -> None:
    """After ``leave`` returns, and after ``dissolve``; leaving twice is no error."""
    async with make() as subject, subject.client("alice") as stays, subject.client("alice") as leaves:
        await begun(subject.sink, "t")
        for client in (stays, leaves):
            await subject.sink.join("t", client.connection_id, user_id="alice")
        await subject.sink.leave("t", leaves.connection_id, user_id="alice")
        await subject.sink.leave("t", leaves.connection_id, user_id="alice")
        await subject.sink.send("t", batch("r1", 1))
        await stays.until(1)
        await subject.sink.dissolve("t")
        await _heard_everywhere(subject, "t", batch("r1", 2))
        await subject.sink.join("t", stays.connection_id, user_id="alice")
        await subject.sink.join("t", leaves.connection_id, user_id="alice")
        await subject.sink.send("t", batch("r1", 3))

        assert numbers(await stays.until(2)) == [1, 3]
        assert numbers(await leaves.until(1)) == [3]


async def _heard_everywhere(subject: Subject, thread: str, said: Batch) -> None:
    """Send, and wait until it has arrived at two nodes, where there are two: nothing of it is under way any more."""
    async with subject.client("bob") as one, subject.client("bob") as other:
        for client in (one, other):
            await subject.sink.join(thread, client.connection_id, user_id="bob")
        await subject.sink.send(thread, said)
        for client in (one, other):
            await client.until(1)


async def joining_again_is_joining_once(make: MakeSubject) -> None:
    """A repeated join does not double what arrives."""
    async with make() as subject, subject.client("alice") as client:
        await begun(subject.sink, "t")
        for _ in range(3):
            await subject.sink.join("t", client.connection_id, user_id="alice")
        await subject.sink.send("t", batch("r1", 1))
        await subject.sink.send("t", batch("r1", 2))

        assert numbers(await client.until(2)) == [1, 2]


async def foreign_and_unknown_connections_are_refused(make: MakeSubject) -> None:
    """Nobody is joined by somebody else, where the transport can tell; an unknown connection is said to be one."""
    async with make() as subject, subject.client("alice") as client:
        with expect(ConnectionGoneError):
            await subject.sink.join("t", "no-such-connection", user_id="alice")
        try:
            await subject.sink.join("t", client.connection_id, user_id="mallory")
        except ForbiddenError:
            await begun(subject.sink, "t")
            await subject.sink.send("t", batch("r1", 1))
            await subject.sink.join("t", client.connection_id, user_id="alice")
            await subject.sink.send("t", batch("r1", 2))

            assert numbers(await client.until(1)) == [2]


async def nobody_listening_is_no_error(make: MakeSubject) -> None:
    """A group without connections is sent to like any other."""
    async with make() as subject:
        await begun(subject.sink, "t")
        await subject.sink.send("t", batch("r1", 1))

        assert numbers(await subject.events("t")) == [1]


async def a_failed_delivery_is_tried_again(make: MakeSubject) -> None:
    """The append stands, the sender is not told, the terminal arrives all the same."""
    async with make() as subject, subject.client("alice") as client:
        await begun(subject.sink, "t")
        await subject.sink.join("t", client.connection_id, user_id="alice")
        if not subject.fail_deliveries(2):
            return
        await subject.sink.send("t", batch("r1", 1))
        await subject.sink.send("t", batch("r1", 2, end=DONE))
        done = await client.until(1, target="agentDone")

        assert done[0].data["status"] == "completed"
        assert numbers(client.received) == [1]


async def members_can_be_listed_where_offered(make: MakeSubject) -> None:
    """Who joined is listed, who left or went is not."""
    async with make() as subject, subject.client("alice") as client:
        listing = subject.sink.ability(ListsMembers)
        if listing is None:
            return
        await subject.sink.join("t", client.connection_id, user_id="alice")
        joined = await listing.members("t")
        await subject.sink.leave("t", client.connection_id, user_id="alice")

        assert (joined, await listing.members("t")) == ([client.connection_id], [])


async def threads_can_be_followed_where_offered(make: MakeSubject) -> None:
    """A follower sees what is delivered from its subscription on."""
    async with make() as subject:
        source = subject.sink.ability(Subscribes)
        if source is None:
            return
        await begun(subject.sink, "t")
        await subject.sink.send("t", batch("r1", 1))
        async with source.subscribe("t") as events:
            await subject.sink.send("t", batch("r1", 2, 2))

            assert numbers([await anext(events), await anext(events)]) == [2, 3]


CHECKS = (
    members_receive_in_order,
    two_first_joins_both_receive,
    a_join_before_the_first_event_misses_nothing,
    groups_stay_apart,
    who_left_receives_nothing,
    joining_again_is_joining_once,
    foreign_and_unknown_connections_are_refused,
    nobody_listening_is_no_error,
    a_failed_delivery_is_tried_again,
    members_can_be_listed_where_offered,
    threads_can_be_followed_where_offered,
)
