"""What may be logged about a failure of somebody else's code."""

from __future__ import annotations

from streamsink.hosts.failures import frames


def fails(secret: str) -> None:
    raise ValueError(secret)


def test_it_says_what_and_where_and_nothing_that_was_said() -> None:
    try:
        fails("swordfish")
    except ValueError as error:
        told = frames(error)

    assert told.startswith("ValueError\n")
    assert "test_failures.py" in told
    assert " in fails" in told
    assert "swordfish" not in told


def test_an_error_that_was_never_raised_is_its_type() -> None:
    assert frames(KeyError("swordfish")) == "KeyError"
