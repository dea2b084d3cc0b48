"""The redis backend, and its timeline under another delivery, are held to the contract of a sink."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest

from streamsink.testing.contract import CONTRACT, Check

from .subjects import one_node, timeline_alone, two_nodes

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from streamsink.testing.subject import Subject
    from streamsink.testing.valkey import ValkeyServer

MakeFrom: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Subject]]"

pytestmark = pytest.mark.service


@pytest.mark.parametrize("make", [timeline_alone, one_node, two_nodes], ids=lambda make: make.__name__)
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check, make: MakeFrom, valkey: ValkeyServer) -> None:
    await check(partial(make, valkey.url))
