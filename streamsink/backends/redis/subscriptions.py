"""Which channels are wanted, asked for and confirmed on a connection that comes and goes. Sans-IO.

Each command names one channel (a cluster takes only one slot's at once) and has one reply, and replies come in order:
so the oldest command under way is what a reply answers, which is how a channel that is left and wanted again, before
the server has said anything, ends well. A channel is confirmed when nothing of it is under way and its last command
subscribed to it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.backends.redis.channels import Listener

__all__ = ["Command", "Outcome", "Subscriptions"]

Command: TypeAlias = tuple[bytes, ...]
W = TypeVar("W")

_SUBSCRIBE: Final = b"SSUBSCRIBE"
_UNSUBSCRIBE: Final = b"SUNSUBSCRIBE"
_PING: Final[Command] = (b"PING",)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[W]):
    """What a reply means to others.

    Attributes:
        confirmed: who waited for a confirmation and has it. Somebody may be named again until he is ``done``.
        refused: who waited for one that will not come.
        gaps: listeners to be told that they may have missed something.
        must_reconnect: a channel that somebody relies on was refused: this server is not the right one any more.
        channel: which one was refused, whoever relies on it.
    """

    confirmed: list[W] = field(default_factory=list)
    refused: list[W] = field(default_factory=list)
    gaps: list[Listener] = field(default_factory=list)
    must_reconnect: bool = False
    channel: bytes | None = None


@dataclass(slots=True, eq=False)
class _Listening(Generic[W]):
    """One listener of one channel, however often it has asked."""

    listener: Listener
    waiters: list[W] = field(default_factory=list)
    is_kept: bool = False  # somebody was told that it listens, and relies on it
    was_confirmed: bool = False


@dataclass(slots=True, eq=False)
class _Channel(Generic[W]):
    name: bytes
    listenings: list[_Listening[W]] = field(default_factory=list)
    is_asked: bool = False  # subscribed to, once all that is under way has been answered
    under_way: int = 0
    is_queued: bool = False

    @property
    def is_confirmed(self) -> bool:
        return self.is_asked and not self.under_way

    def of(self, listener: Listener) -> _Listening[W] | None:
        return next((each for each in self.listenings if each.listener is listener), None)


class Subscriptions(Generic[W]):
    """The state of one subscriber. ``W``: whatever waits for a confirmation; its equality is its identity.

    Commands are fetched with :meth:`output`; what was taken back before that is never sent.

    Attributes:
        routes: who hears a channel: live, for reading. A channel that is not in it is nobody's.
    """

    def __init__(self) -> None:
        self._routes: dict[bytes, tuple[Listener, ...]] = {}
        self.routes: Mapping[bytes, tuple[Listener, ...]] = self._routes
        self._channels: dict[bytes, _Channel[W]] = {}
        self._queue: deque[_Channel[W]] = deque()  # what is wanted of these may differ from what is asked
        self._under_way: deque[Command] = deque()
        self._is_connected = False
        self._is_ping_due = False

    @property
    def has_output(self) -> bool:
        """Whether :meth:`output` may have commands."""
        return self._is_connected and (bool(self._queue) or self._is_ping_due)

    def listen(self, name: bytes, listener: Listener, waiter: W) -> bool:
        """Want a channel. True: it is confirmed, and ``waiter`` does not wait. False: it waits until it is named in an
        outcome or by :meth:`unlisten`; then, or when it stops waiting, call :meth:`done` or :meth:`give_up`."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel(name)
        listening = channel.of(listener)
        if listening is None:
            listening = _Listening(listener)
            channel.listenings.append(listening)
            self._route(channel)
        if channel.is_confirmed:
            listening.is_kept = listening.was_confirmed = True
            return True
        listening.waiters.append(waiter)
        self._enqueue(channel)  # it may have been refused before
        return False

    def done(self, name: bytes, listener: Listener, waiter: W) -> None:
        """Who waited knows that the listener listens: from now on only :meth:`unlisten` ends it."""
        listening = self._waiting(name, listener, waiter)
        if listening is not None:
            listening.waiters.remove(waiter)
            listening.is_kept = True

    def give_up(self, name: bytes, listener: Listener, waiter: W) -> None:
        """Who waited does not any more, even if it was named meanwhile; the listener goes, unless it is others' too."""
        listening = self._waiting(name, listener, waiter)
        if listening is not None:
            listening.waiters.remove(waiter)
            if not listening.waiters and not listening.is_kept:
                self.unlisten(name, listener)

    def unlisten(self, name: bytes, listener: Listener) -> list[W]:
        """Want a channel no more for this listener; returns who waited for it in vain. Again is no error."""
        channel = self._channels.get(name)
        listening = None if channel is None else channel.of(listener)
        if channel is None or listening is None:
            return []
        channel.listenings.remove(listening)
        self._route(channel)
        return listening.waiters

    def connected(self) -> None:
        """There is a connection on which nothing has been asked."""
        self._is_connected = True
        for channel in self._channels.values():
            self._enqueue(channel)

    def disconnected(self) -> None:
        """The connection is gone, with all that was under way. Who waits goes on waiting."""
        self._is_connected = self._is_ping_due = False
        self._under_way.clear()
        self._queue.clear()
        for channel in tuple(self._channels.values()):
            channel.is_asked, channel.under_way, channel.is_queued = False, 0, False
            self._prune(channel)

    def ping(self) -> None:
        """Ask the server whether it is there."""
        self._is_ping_due = True

    def output(self, at_most: int = 1_000) -> list[Command]:
        """Commands to be written now, in this order; each is given once."""
        commands: list[Command] = []
        if not self._is_connected:
            return commands
        if self._is_ping_due:
            self._is_ping_due = False
            commands.append(_PING)
        while self._queue and len(commands) < at_most:
            channel = self._queue.popleft()
            channel.is_queued = False
            is_wanted = bool(channel.listenings)
            if is_wanted != channel.is_asked:
                channel.is_asked = is_wanted
                channel.under_way += 1
                commands.append((_SUBSCRIBE if is_wanted else _UNSUBSCRIBE, channel.name))
            self._prune(channel)
        self._under_way += commands
        return commands

    def subscribed(self, name: bytes) -> Outcome[W]:
        """The server says that it has subscribed to a channel.

        Raises:
            ValueError: nobody has asked for that now.
        """
        if not self._is_next((_SUBSCRIBE, name)):
            raise ValueError("a subscription that was not asked for")
        channel = self._answered()
        outcome: Outcome[W] = Outcome()
        if not channel.is_confirmed:  # it has been left since, and perhaps asked for again
            return outcome
        for listening in channel.listenings:
            if listening.was_confirmed:
                outcome.gaps.append(listening.listener)
            outcome.confirmed.extend(listening.waiters)
            listening.was_confirmed = True
        return outcome

    def unsubscribed(self, name: bytes) -> None:
        """The server says that it has left a channel, asked or not: where its slot goes elsewhere, nobody asks."""
        if self._is_next((_UNSUBSCRIBE, name)):
            self._prune(self._answered())
            return
        channel = self._channels.get(name)
        if channel is not None and channel.is_confirmed:
            channel.is_asked = False
            self._enqueue(channel)

    def ponged(self) -> None:
        """The server has answered a ping.

        Raises:
            ValueError: there was none.
        """
        if not self._is_next(_PING):
            raise ValueError("an answer to no ping")
        self._under_way.popleft()

    def refused(self) -> Outcome[W]:
        """The server has answered with an error.

        Raises:
            ValueError: it was not asked anything.
        """
        if not self._under_way:
            raise ValueError("an error for no command")
        if self._is_next(_PING):  # it is there
            self._under_way.popleft()
            return Outcome()
        channel = self._answered()
        outcome: Outcome[W] = Outcome()
        if channel.is_confirmed:  # it would be; else leaving it was refused, or something else follows
            channel.is_asked = False
            theirs = channel.listenings
            refused = [waiter for listening in theirs for waiter in listening.waiters]
            is_relied_on = any(listening.is_kept for listening in theirs)
            outcome = Outcome(refused=refused, must_reconnect=is_relied_on, channel=channel.name)
        self._prune(channel)
        return outcome

    def _is_next(self, command: Command) -> bool:
        return bool(self._under_way) and self._under_way[0] == command

    def _answered(self) -> _Channel[W]:
        channel = self._channels[self._under_way.popleft()[1]]
        channel.under_way -= 1
        return channel

    def _waiting(self, name: bytes, listener: Listener, waiter: W) -> _Listening[W] | None:
        channel = self._channels.get(name)
        listening = None if channel is None else channel.of(listener)
        return listening if listening is not None and waiter in listening.waiters else None

    def _route(self, channel: _Channel[W]) -> None:
        if channel.listenings:
            self._routes[channel.name] = tuple(listening.listener for listening in channel.listenings)
        else:
            del self._routes[channel.name]
        self._enqueue(channel)
        self._prune(channel)

    def _enqueue(self, channel: _Channel[W]) -> None:
        if self._is_connected and not channel.is_queued:
            channel.is_queued = True
            self._queue.append(channel)

    def _prune(self, channel: _Channel[W]) -> None:
        if not (channel.listenings or channel.is_asked or channel.under_way or channel.is_queued):
            del self._channels[channel.name]
