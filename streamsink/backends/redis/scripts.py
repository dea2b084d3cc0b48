"""The scripts, each with the functions that all of them share in front."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

__all__ = ["STORE_CLOCK", "Script", "Scripts"]

# Times are the store's own. Tests give another clock.
STORE_CLOCK: Final = "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)"


# Read with this module: later, a loop would wait for the disk.
_SOURCES: Final = {
    entry.name.removesuffix(".lua"): entry.read_text()
    for entry in files("streamsink.backends.redis").joinpath("lua").iterdir()
}


@dataclass(frozen=True, slots=True)
class Script:
    """Lua, and the name under which the server knows it once it has been loaded."""

    source: str
    sha: str

    @classmethod
    def of(cls, source: str) -> Script:
        """A script with that source."""
        return cls(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """Every script of the timeline.

    Args:
        clock: the body of a Lua function that returns milliseconds since 1970.
    """

    def __init__(self, clock: str = STORE_CLOCK) -> None:
        self._prelude = f"local function now_ms() {clock} end\n{_SOURCES['lib']}"
        self.accept: Script = self._script("accept")
        self.begin: Script = self._script("begin")
        self.turn: Script = self._script("turn")
        self.run: Script = self._script("run")
        self.append: Script = self._script("append")
        self.renew: Script = self._script("renew")
        self.cancel: Script = self._script("cancel")
        self.interrupt: Script = self._script("interrupt")
        self.sweep: Script = self._script("sweep")
        self.read: Script = self._script("read")
        self.get_snapshot: Script = self._script("get_snapshot")
        self.put_snapshot: Script = self._script("put_snapshot")
        self.put_document: Script = self._script("put_document")
        self.register: Script = self._script("register")
        self.delete: Script = self._script("delete")

    def _script(self, name: str) -> Script:
        return Script.of(f"{self._prelude}\n{_SOURCES[name]}")
