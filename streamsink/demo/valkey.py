"""The redis backend without an installed Redis: a Valkey of this process's own, for development."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamsink.core.errors import SettingsError
from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

__all__ = ["development_valkey"]


@contextmanager
def development_valkey(environ: MutableMapping[str, str]) -> Iterator[None]:
    """A server on loopback, without a password, that forgets everything at the end; ``environ`` says where it is.

    Raises:
        SettingsError: another Redis or backend is asked for.
        MissingExtraError: the wheel with the server is not installed.
    """
    if environ.get("STREAM_REDIS_URL"):
        raise SettingsError("STREAM_REDIS_URL", "unset with --valkey, which starts a server of its own")
    if environ.get("STREAM_BACKEND", "redis") != "redis":
        raise SettingsError("STREAM_BACKEND", "unset or `redis` with --valkey")
    with ValkeyServer() as server:
        environ["STREAM_BACKEND"] = "redis"
        environ["STREAM_REDIS_URL"] = server.url
        # Workers share it; cookies and thread ids end with the server.
        environ.setdefault("STREAM_SECRET", f"dev:{secrets.token_hex(24)}")
        yield
