"""A counter of delivered events that the load generator writes and the publisher reads."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

SIZE = 8


class Counter:
    """Eight bytes in a file that both have mapped."""

    def __init__(self, path: str) -> None:
        file = Path(path)
        if not file.exists():
            file.write_bytes(b"\0" * SIZE)
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), SIZE)

    def set(self, value: int) -> None:
        self._map[:SIZE] = struct.pack("=Q", value)

    def get(self) -> int:
        found: int = struct.unpack("=Q", self._map[:SIZE])[0]
        return found
