"""The names of keys and channels. Sans-IO.

Everything of a thread shares one hash tag, so that a script may touch all of it on a cluster too. Channels belong to
no database, keys do: a channel's name says which.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

__all__ = ["Keys"]


class Keys:
    """Names below one prefix.

    Args:
        prefix: of everything that this deployment stores.
        database: the number of the database that it stores in.
    """

    def __init__(self, prefix: str, database: int = 0) -> None:
        self._prefix = prefix
        self._database = database
        self.open: bytes = f"{prefix}:open".encode()
        self.ready: bytes = f"{prefix}:ready".encode()

    def stream(self, thread: str) -> bytes:
        """A thread's events."""
        return self._of(thread, "s")

    def hash(self, thread: str) -> bytes:
        """Everything else of a thread: its head, runs, snapshot, owner, tombstone."""
        return self._of(thread, "h")

    def channel(self, thread: str) -> bytes:
        """Where a thread's batches are published."""
        return self._of(thread, f"c:{self._database}")

    def owner(self, thread: str) -> bytes:
        """Whom a registered thread belongs to; it outlives what was said in it."""
        return self._of(thread, "o")

    def documents(self, thread: str) -> bytes:
        """What hosts keep for a thread's next turn."""
        return self._of(thread, "d")

    def node(self, node_id: str) -> bytes:
        """The channel on which a node listens."""
        return f"{self._prefix}:node:{{{_quoted(node_id)}}}:{self._database}".encode()

    def connection(self, connection_id: str) -> bytes:
        """Which node has a client's connection."""
        return f"{self._prefix}:conn:{{{_quoted(connection_id)}}}".encode()

    def _of(self, thread: str, what: str) -> bytes:
        # Encoded, so that no id can close the hash tag or reach into another name.
        return f"{self._prefix}:{{{_quoted(thread)}}}:{what}".encode()


@lru_cache(maxsize=4_096)  # each append names three keys of its thread
def _quoted(text: str) -> str:
    return quote(text, safe="")
