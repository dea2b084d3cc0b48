"""The page and the platform's questions, on a host of its own: what the contract cannot ask from outside."""

from __future__ import annotations

from typing import Any

import pytest

from streamsink.core.errors import ForbiddenError
from streamsink.core.identity import Request, User
from streamsink.testing.clock import virtual_time

from .support import running_site


@pytest.mark.parametrize("knows", [None, User(subject="ann", response_headers=(("set-cookie", "x=1"),))])
@virtual_time
async def test_the_page_brings_the_cookie_of_whoever_is_known(knows: User | None) -> None:
    async with running_site(identify=lambda request: knows) as site:
        reply = await site().get("/api/index")

        assert reply.status_code == 200
        assert reply.headers.get("set-cookie") == (None if knows is None else "x=1")


@virtual_time
async def test_the_page_is_for_those_who_are_refused_as_well() -> None:
    """Its calls will say what is wrong."""

    def identify(request: Request) -> Any:
        raise ForbiddenError("this ticket has expired")

    async with running_site(identify=identify) as site:
        assert (await site().get("/api/index")).status_code == 200
        assert (await site().get("/api/agent/negotiate")).status_code == 403
