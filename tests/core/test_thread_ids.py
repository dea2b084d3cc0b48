"""Minted thread ids: unguessable, and their owner's."""

from __future__ import annotations

import secrets

from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.names import THREAD_ID
from streamsink.core.secrets import SecretRing
from streamsink.core.thread_ids import ThreadIds

OLD, NEW = "o" * 32, "n" * 32
LONGEST_KID = "k" * 16


def ids(secret: str = OLD) -> ThreadIds:
    return ThreadIds(SecretRing.parse(secret), secrets.token_bytes)


@given(st.text(st.characters(codec="utf-8")), st.binary(min_size=16, max_size=16))
def test_a_minted_id_is_a_name_and_its_owners_only(owner: str, unguessable: bytes) -> None:
    minting = ThreadIds(SecretRing.parse(f"{LONGEST_KID}:{OLD}"), lambda _: unguessable)

    thread = minting.mint(owner)

    assert THREAD_ID.validate(thread) == thread
    assert len(thread) <= 62
    assert minting.is_minted_for(thread, owner)
    assert not minting.is_minted_for(thread, owner + "x")


def test_ids_differ() -> None:
    minting = ids()

    assert len({minting.mint("me") for _ in range(100)}) == 100


def test_another_host_with_the_secret_verifies_and_one_without_does_not() -> None:
    thread = ids(f"a:{OLD}").mint("me")

    assert ids(f"b:{NEW},a:{OLD}").is_minted_for(thread, "me")
    assert not ids(f"a:{NEW}").is_minted_for(thread, "me")


@given(st.text())
def test_no_other_text_is_anybodys(text: str) -> None:
    assert not ids().is_minted_for(text, "me")
