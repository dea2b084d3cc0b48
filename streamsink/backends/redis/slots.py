"""Which master of a cluster has which slot. Sans-IO.

Source: https://valkey.io/topics/cluster-spec/ and https://valkey.io/commands/cluster-slots/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from streamsink.backends.redis.endpoint import Address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SlotMap", "key_slot", "moved_to"]

_TRIES: Final = 200_000


class SlotMap:
    """Empty until it is read from a server."""

    def __init__(self) -> None:
        self._masters: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._servers: dict[Address, None] = {}

    @classmethod
    def read(cls, reply: Any, asked: Address) -> SlotMap:
        """What a server says to ``CLUSTER SLOTS``.

        Args:
            asked: the server; it may not know by which host it is reached.

        Raises:
            ValueError: it makes no sense.
        """
        read = cls()
        try:
            for first, last, *servers in reply:
                found = [address for each in servers if (address := _address(each[0], each[1], asked)) is not None]
                read._servers.update(dict.fromkeys(found))
                master = _address(servers[0][0], servers[0][1], asked)
                read._masters[first : last + 1] = [master] * (last + 1 - first)
        except (AttributeError, IndexError, TypeError, ValueError):
            raise ValueError("no map of slots") from None
        if len(read._masters) != REDIS_CLUSTER_HASH_SLOTS:
            raise ValueError("no map of slots")
        return read

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotMap) and other._masters == self._masters

    __hash__ = None  # type: ignore[assignment]

    @property
    def masters(self) -> set[Address]:
        """Those that have slots."""
        return {master for master in self._masters if master is not None}

    @property
    def servers(self) -> Sequence[Address]:
        """Everybody who may be asked, replicas included."""
        return tuple(self._servers)

    def master_of(self, key: bytes) -> Address | None:
        """Who has a key's, or a channel's, slot; None: nobody, as far as one knows."""
        return self._masters[key_slot(key)]

    def move(self, key: bytes, master: Address) -> None:
        """A server said who has the key's slot."""
        self._masters[key_slot(key)] = master
        self._servers[master] = None

    def keys_on_each(self, key: bytes) -> Iterator[bytes]:
        """Keys that begin with ``key``, one at each master. One that has very few slots may be left out."""
        missing = self.masters
        for n in range(_TRIES):
            if not missing:
                return
            name = b"%b:%d" % (key, n)
            master = self.master_of(name)
            if master in missing:
                missing.discard(master)
                yield name


def moved_to(words: str, asked: Address) -> Address | None:
    """Where ``MOVED 3999 127.0.0.1:6381`` points; None: nowhere that could be reached.

    Args:
        asked: who said it. No host means the same host.
    """
    host, colon, port = words.rpartition(" ")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return None
    return _address(host.encode(), int(port), asked)


def _address(host: bytes | None, port: int, asked: Address) -> Address | None:
    name = (host or b"").decode()
    return None if name == "?" else Address(name or asked.host, int(port))
