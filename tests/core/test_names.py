"""Names: what is let through is safe in a path, a key and a log; what is not is refused by name."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import InvalidRequestError
from streamsink.core.names import AGENT_NAME, CONNECTION_ID, CORRELATION_ID, IDEMPOTENCY_KEY, THREAD_ID, Name

ALL = [AGENT_NAME, CONNECTION_ID, CORRELATION_ID, IDEMPOTENCY_KEY, THREAD_ID]
IN_PATHS = [AGENT_NAME, CONNECTION_ID, CORRELATION_ID, THREAD_ID]
by_label = pytest.mark.parametrize("name", ALL, ids=lambda name: name.label)
in_paths = pytest.mark.parametrize("name", IN_PATHS, ids=lambda name: name.label)


@pytest.mark.parametrize(
    "value", ["42", "a", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "@dafx-Planner@x", "a.b:c=d_e~f", "x" * 200]
)
def test_ids_that_exist_elsewhere_are_accepted_as_they_are(value: str) -> None:
    assert THREAD_ID.validate(value) == value


@in_paths
@pytest.mark.parametrize(
    "value",
    [
        ".",
        "..",
        "a..b",
        "../x",
        "a/b",
        "a\\b",
        "a?op=reset",
        "a#b",
        "a%2e",
        " a",
        "a\n",
        "a\tb",
        "\x7f",
        "é",
        "日本",
        "\ud800",
    ],
)
def test_what_means_something_to_paths_and_urls_is_refused(name: Name, value: str) -> None:
    with pytest.raises(InvalidRequestError, match=name.label):
        name.validate(value)


@by_label
@pytest.mark.parametrize("value", ["", None, 7, b"bytes", ["a"], "\x00", "ünïcode", "line\nbreak"])
def test_what_is_no_visible_text_is_refused_everywhere(name: Name, value: object) -> None:
    with pytest.raises(InvalidRequestError, match=name.label):
        name.validate(value)


@by_label
def test_length_is_bounded_and_inclusive(name: Name) -> None:
    assert name.validate("x" * name.max_length)

    with pytest.raises(InvalidRequestError):
        name.validate("x" * (name.max_length + 1))


@by_label
def test_an_error_echoes_no_more_than_the_beginning(name: Name) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        name.validate("\x1b[2J" + "secret" * 2_000)

    assert "\x1b" not in str(caught.value)
    assert str(caught.value).count("secret") <= 2
    assert str(caught.value).endswith("…")
    assert caught.value.status == 400


def test_a_short_wrong_name_is_echoed_whole() -> None:
    with pytest.raises(InvalidRequestError, match=r"it begins with 'a/b'$"):
        THREAD_ID.validate("a/b")


@given(st.text(max_size=210))
def test_a_thread_id_never_changes_the_path_that_it_is_put_into(text: str) -> None:
    try:
        name = THREAD_ID.validate(text)
    except InvalidRequestError:
        return

    url = urlsplit(f"https://host/threads/{name}/events")
    assert url.path.split("/") == ["", "threads", name, "events"]
    assert not url.query
    assert not url.fragment


@given(st.binary(min_size=1, max_size=60))
def test_connection_ids_of_any_base64url_are_accepted(data: bytes) -> None:
    text = base64.urlsafe_b64encode(data).decode()

    assert CONNECTION_ID.validate(text) == text


def test_agent_names_may_have_spaces_inside_only() -> None:
    assert AGENT_NAME.validate("Travel Planner") == "Travel Planner"

    for wrong in (" Travel", "Travel ", " "):
        with pytest.raises(InvalidRequestError):
            AGENT_NAME.validate(wrong)


@given(st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=255))
def test_idempotency_keys_are_any_visible_ascii(text: str) -> None:
    assert IDEMPOTENCY_KEY.validate(text) == text
