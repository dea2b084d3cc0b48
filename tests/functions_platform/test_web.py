"""Targets as Kestrel reads them."""

from __future__ import annotations

import pytest

from tests.functions_platform.web import parse_target


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        ("/api/agents/Echo/run", ("api", "agents", "Echo", "run")),
        ("/api/a%20b/%C3%A9", ("api", "a b", "é")),
        ("/entities/dafx-A/x/../../dafx-B/y", ("entities", "dafx-B", "y")),
        ("/entities/dafx-A/%2E%2E/y", ("entities", "y")),
        ("/../../api", ("api",)),
        ("/entities/n/a%2Fb", ("entities", "n", "a%2Fb")),
        ("/entities/n/a%3Fb", ("entities", "n", "a?b")),
    ],
)
def test_a_path_is_decoded_but_for_slashes_and_has_no_dots(raw: str, segments: tuple[str, ...]) -> None:
    assert parse_target(raw).segments == segments


def test_a_query_begins_at_the_first_question_mark() -> None:
    target = parse_target("/entities/n/k?op=reset&x=?op=run")

    assert (target.segments[-1], target.query) == ("k", {"op": "reset", "x": "?op=run"})


def test_several_values_are_one_and_empty_ones_are_none() -> None:
    assert parse_target("/a?b=1&b=2&c=").query == {"b": "1,2"}


def test_the_display_url_is_not_a_url() -> None:
    assert parse_target("/api/a%3Fb%20c?d=%20").display == "/api/a?b c?d=%20"
