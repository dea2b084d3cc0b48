"""Names of keys and channels."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.redis.keys import Keys

THREADS = st.text(min_size=1, max_size=60)


def of_thread(keys: Keys, thread: str) -> list[bytes]:
    return [
        keys.stream(thread),
        keys.hash(thread),
        keys.channel(thread),
        keys.owner(thread),
        keys.documents(thread),
    ]


@given(THREADS)
def test_everything_of_a_thread_has_its_hash_tag(thread: str) -> None:
    names = of_thread(Keys("p"), thread)

    tags = {re.search(rb"\{([^}]*)\}", name)[1] for name in names}  # type: ignore[index]
    assert len(tags) == 1
    assert tags != {b""}
    assert len(set(names)) == len(names)
    assert all(name.isascii() and b" " not in name for name in names)


@given(THREADS, THREADS)
def test_threads_do_not_share_names(one: str, other: str) -> None:
    keys = Keys("p")

    assert (of_thread(keys, one) == of_thread(keys, other)) == (one == other)


def test_deployments_and_databases_are_apart() -> None:
    names = {Keys(prefix, database).channel("t") for prefix in ("a", "b") for database in (0, 1)}

    assert len(names) == 4
    assert Keys("a").stream("t") == b"a:{t}:s"
    assert Keys("a").open == b"a:open"


def test_nodes_and_connections_have_names_of_their_own() -> None:
    keys = Keys("p", 2)

    assert keys.node("n{1}") == b"p:node:{n%7B1%7D}:2"
    assert keys.connection("c/1") == b"p:conn:{c%2F1}"
