"""Errors that only hosts know."""

from __future__ import annotations

from streamsink.hosts.errors import MethodNotAllowedError, NotAcceptableError


def test_their_statuses_are_those_of_http() -> None:
    assert [(error.status, error.code) for error in (NotAcceptableError, MethodNotAllowedError)] == [
        (406, "not_acceptable"),
        (405, "method_not_allowed"),
    ]
