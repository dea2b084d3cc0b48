"""A cluster: threads are where their slots are, and follow them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest

from streamsink.testing.contract import CONTRACT, Check

from .clusters import LocalCluster, local_cluster
from .subjects import one_node, two_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from streamsink.testing.subject import Subject

MakeFrom: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Subject]]"

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """For tests that leave every server as it was."""
    with local_cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("make", [one_node, two_nodes], ids=lambda make: make.__name__)
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_contract(check: Check, make: MakeFrom, cluster: LocalCluster) -> None:
    await check(partial(make, cluster.url))
