"""STREAM_SECRET: the ring signs with its first secret, verifies with all, and shows none."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import SettingsError
from streamsink.core.secrets import SecretRing

OLD, NEW = "o" * 32, "n" * 32


def test_a_bare_secret_has_the_kid_0() -> None:
    assert SecretRing.parse(OLD).kids == ("0",)


def test_the_first_entry_signs_and_all_verify() -> None:
    before, after = SecretRing.parse(f"a:{OLD}"), SecretRing.parse(f" b:{NEW} , a:{OLD} ")

    kid, mac = before.mac("p", b"message")

    assert (kid, after.kid, after.kids) == ("a", "b", ("b", "a"))
    assert after.verify("p", b"message", kid, mac)
    assert not before.verify("p", b"message", *after.mac("p", b"message"))


def test_a_mac_is_good_for_its_message_purpose_and_kid_only() -> None:
    ring = SecretRing.parse(f"b:{NEW},a:{OLD}")
    kid, mac = ring.mac("p", b"message")

    assert len(mac) == 16
    assert not ring.verify("p", b"messagf", kid, mac)
    assert not ring.verify("q", b"message", kid, mac)
    assert not ring.verify("p", b"message", "a", mac)
    assert not ring.verify("p", b"message", "nobody", mac)


def test_keys_differ_by_purpose_and_are_newest_first() -> None:
    ring = SecretRing.parse(f"b:{NEW},a:{OLD}")

    assert [len(key) for key in ring.keys("jwt")] == [32, 32]
    assert ring.keys("jwt")[1:] == SecretRing.parse(f"x:{OLD}").keys("jwt")
    assert not set(ring.keys("jwt")) & set(ring.keys("cookie"))


@pytest.mark.parametrize(
    "value",
    [
        "", "short", ",", f"{OLD},", f"{OLD},{NEW}", f"a:{OLD},a:{NEW}", f"a:{OLD},b:short", f":{OLD}",
        f"{'k' * 17}:{OLD}", f"a-b:{OLD}", f"ä:{OLD}", "x" * 31, "x" * 31 + " " + "y",
        "x" * 40 + "\x00", "\udc80" * 40,
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SecretRing.parse(value)

    assert caught.value.variable == "STREAM_SECRET"
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(len(part) > 6 and part in shown for part in value.replace(",", ":").split(":"))


@given(st.text())
def test_no_text_does_anything_but_make_a_ring_or_a_settings_error(text: str) -> None:
    try:
        ring = SecretRing.parse(text)
    except SettingsError:
        return

    assert ring.kids


def test_an_empty_ring_is_refused() -> None:
    with pytest.raises(SettingsError):
        SecretRing({})


def test_secrets_are_never_shown_nor_pickled() -> None:
    ring = SecretRing.parse(f"a:{OLD}")

    assert repr(ring) == str(ring) == "SecretRing(kids=['a'])"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(ring)
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(ring)


def test_generated_rings_come_from_the_randomness_given() -> None:
    first, again = SecretRing.generate(lambda n: b"r" * n), SecretRing.generate(lambda n: b"r" * n)

    assert first.keys("p") == again.keys("p")
    assert first.keys("p") != SecretRing.generate(lambda n: b"s" * n).keys("p")


class TestSignedText:
    ring = SecretRing.parse(f"b:{NEW},a:{OLD}")

    @given(st.from_regex(r"[A-Za-z0-9_~-]+", fullmatch=True), st.text(st.characters(codec="utf-8")))
    def test_comes_back_with_its_kid(self, text: str, context: str) -> None:
        signed = self.ring.sign("p", text, context=context)
        opened = self.ring.unsign("p", signed, context=context)

        assert opened is not None
        assert (opened.text, opened.kid) == (text, "b")

    def test_is_good_for_its_purpose_and_context_only(self) -> None:
        signed = self.ring.sign("p", "text", context="mine")

        assert self.ring.unsign("q", signed, context="mine") is None
        assert self.ring.unsign("p", signed, context="yours") is None
        assert self.ring.unsign("p", signed) is None

    @pytest.mark.parametrize("text", ["", "a.b", "a b", "ä", "a\n"])
    def test_has_an_alphabet(self, text: str) -> None:
        with pytest.raises(ValueError, match="only letters"):
            self.ring.sign("p", text)

    @given(st.data())
    def test_changed_anywhere_is_nothing(self, data: st.DataObject) -> None:
        signed = self.ring.sign("p", "text")
        place = data.draw(st.integers(0, len(signed) - 1))
        other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != signed[place]))

        assert self.ring.unsign("p", signed[:place] + other + signed[place + 1 :]) is None

    @given(st.text())
    def test_made_up_is_nothing(self, text: str) -> None:
        assert self.ring.unsign("p", text) is None

    def test_too_long_to_be_ours_is_nothing(self) -> None:
        assert self.ring.unsign("p", self.ring.sign("p", "x" * 4_096)) is None
