"""The calls about threads: making one, connecting to it, reading it, deleting it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from streamsink.core.cursor import Cursor
from streamsink.core.delivery import Subscribes
from streamsink.core.errors import ThreadDeletedError
from streamsink.core.names import CONNECTION_ID
from streamsink.core.replay import read_replay
from streamsink.hosts import paths
from streamsink.hosts.api import Route, Services
from streamsink.hosts.ended import ended_runs, read_open
from streamsink.hosts.errors import NoHistoryError, NotAcceptableError
from streamsink.hosts.http import Call, Reply, json_reply, read_json, wants
from streamsink.hosts.live import follow, follow_from_now

if TYPE_CHECKING:
    from streamsink.core.identity import User

__all__ = ["ThreadCalls"]

_EVENT_STREAM = "text/event-stream"


class ThreadCalls:
    """Handlers for ``/api/agent/…``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sink = services.sink

    def routes(self) -> list[Route]:
        """The calls."""
        return [
            Route(method="POST", path=paths.CREATE_THREAD, handler=self.create),
            Route(method="GET", path=paths.NEGOTIATE, handler=self.negotiate),
            Route(method="POST", path=paths.NEGOTIATE, handler=self.negotiate),
            Route(method="POST", path=paths.JOIN, handler=self.join),
            Route(method="POST", path=paths.LEAVE, handler=self.leave),
            Route(method="GET", path=paths.EVENTS, handler=self.events),
            Route(method="DELETE", path=paths.THREAD, handler=self.delete),
        ]

    async def create(self, call: Call, user: User) -> Reply:
        """A fresh thread of the caller's."""
        return json_reply({"thread_id": self._services.thread_ids.mint(user.id)})

    async def negotiate(self, call: Call, user: User) -> Reply:
        """Where the caller's SignalR client connects."""
        info = await self._sink.connect_info(user, call.base_url)
        return json_reply({"url": info.url, "accessToken": info.access_token})

    async def join(self, call: Call, user: User) -> Reply:
        """Add the caller's connection to a thread's group; with ``after``, say what it has missed.

        The connection is joined before the timeline is read: an event is in the answer, or arrives, or both. Where no
        history is kept nobody can say what was missed: the replay is null, and of the runs that the client names as
        ``open``, it learns which are over.
        """
        asked = read_json(call.body)
        thread = await self._services.allow(user, asked.get("group"), "join")
        connection_id = CONNECTION_ID.validate(asked.get("connectionId"))
        after = self._after(asked["after"]) if "after" in asked else None
        shown = read_open(asked.get("open", []))
        await self._sink.join(thread, connection_id, user_id=user.id)
        answer = {"status": "joined", "group": thread}
        if after is None:
            await self._sink.get_snapshot(thread)  # of all calls the one that a deleted thread refuses
            return json_reply(answer)
        replay = await read_replay(self._sink, thread, after)
        if self._sink.keeps_history:
            return json_reply({**answer, "replay": replay.to_json()})
        ended = await ended_runs(self._sink, thread, shown)
        return json_reply({**answer, "replay": None, "ended": ended})

    def _after(self, value: object) -> str:
        """A cursor as it was given out; checked before anything is changed. Without history there are none."""
        text = value if isinstance(value, str) else "?"
        if text and not self._sink.keeps_history:
            return ""
        Cursor.parse(text.partition("~")[0])
        return text

    async def leave(self, call: Call, user: User) -> Reply:
        """Take the caller's connection out of a thread's group."""
        asked = read_json(call.body)
        thread = await self._services.allow(user, asked.get("group"), "leave")
        connection_id = CONNECTION_ID.validate(asked.get("connectionId"))
        await self._sink.leave(thread, connection_id, user_id=user.id)
        return json_reply({"status": "left", "group": thread})

    async def events(self, call: Call, user: User) -> Reply:
        """What happened after a cursor; as a live stream where the backend can be followed."""
        thread = await self._services.allow(user, call.params["thread_id"], "read")
        after = call.request.query.get("after", "")
        if wants(call.request, _EVENT_STREAM):
            return await self._live(thread, call.request.headers.get("last-event-id", after))
        replay = await read_replay(self._sink, thread, self._after(after))
        if not self._sink.keeps_history:
            raise NoHistoryError("no history is kept here; join a group, or ask with Accept: text/event-stream")
        return json_reply(replay.to_json())

    async def _live(self, thread: str, after: str) -> Reply:
        source = self._sink.ability(Subscribes) if self._services.streams else None
        if source is None:
            raise NotAcceptableError("nothing can be followed over HTTP here; poll without Accept, or join a group")
        after = self._after(after)
        await read_replay(self._sink, thread, after)  # what is wrong is an error, not a stream that breaks
        headers = (
            ("content-type", _EVENT_STREAM),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        )
        if self._sink.keeps_history:
            return Reply(headers=headers, stream=follow(self._sink, source, thread, after))
        return Reply(headers=headers, stream=follow_from_now(self._sink, source, thread))

    async def delete(self, call: Call, user: User) -> Reply:
        """Remove a thread and all that is known about it."""
        thread = await self._services.allow(user, call.params["thread_id"], "delete")
        with suppress(ThreadDeletedError):  # deleting twice is no error
            await self._sink.cancel(thread)
        await self._sink.delete(thread)
        await self._services.host.forget(thread)
        return Reply(status=204)
