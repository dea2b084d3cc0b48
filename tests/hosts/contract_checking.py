"""What the checks of the HTTP contract have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from streamsink.core.settings import Limits, Settings

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import httpx

    from .support import Site

MakeSite: TypeAlias = "Callable[..., AbstractAsyncContextManager[Site]]"
"""Makes a running host: ``make(*agents, settings=…, identify=…, authorize=…)``, each of them optional."""

Check: TypeAlias = Callable[[MakeSite], Awaitable[None]]

PLENTY = Settings(limits=Limits(requests_per_minute=1_000_000))


def assert_error(reply: httpx.Response, status: int, code: str | None = None) -> str:
    """The one shape of every error; gives its message."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    body: dict[str, Any] = reply.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"]
    if code is not None:
        assert body["error"]["code"] == code
    return str(body["error"]["message"])


def name_of(check: Check) -> str:
    """For parametrized tests."""
    return check.__name__
