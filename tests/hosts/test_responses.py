"""The whole response of a run, as its terminal stores it."""

from __future__ import annotations

from datetime import date

from streamsink.core.events import Terminal
from streamsink.hosts.responses import encode_response, response_text, stored_response


def test_what_is_stored_comes_back() -> None:
    terminal = Terminal("completed", None, encode_response("Grüße", {"messages": [1, "x"]}))

    assert response_text(terminal) == "Grüße"
    assert stored_response(terminal) == {"messages": [1, "x"]}


def test_a_run_may_end_without_a_response() -> None:
    terminal = Terminal("failed", "producer_lost")

    assert response_text(terminal) == ""
    assert stored_response(terminal) is None


def test_what_json_cannot_say_is_stored_as_its_text() -> None:
    stored = stored_response(Terminal("completed", None, encode_response("", {"day": date(2026, 1, 2), "x": {1}})))

    assert stored == {"day": "2026-01-02", "x": [1]}
    stored = stored_response(Terminal("completed", None, encode_response("", {"kind": type(None)})))
    assert stored == {"kind": "<class 'NoneType'>"}
