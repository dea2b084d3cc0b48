from __future__ import annotations

import pickle
import re

import pytest

from streamsink.core import errors
from streamsink.core.errors import (
    AttemptFailedError,
    BusyError,
    EpochChangedError,
    MissingExtraError,
    SettingsError,
    StreamSinkError,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]
MADE = [
    SettingsError("STREAM_SECRET", "at least 32 characters"),
    MissingExtraError("the gateway", "asgi"),
    BusyError("too many", retry_after_s=2.5),
    EpochChangedError(17),
    AttemptFailedError("the agent did not complete its answer"),
]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_everything_raised_is_of_one_tree_with_a_code_and_a_status(error: type[StreamSinkError]) -> None:
    assert issubclass(error, StreamSinkError)
    assert re.fullmatch(r"[a-z_]+", error.code)
    assert 400 <= error.status <= 599
    assert error.__doc__


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_the_tree_that_the_module_draws_has_every_error(error: type[StreamSinkError]) -> None:
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MADE[0], "STREAM_SECRET should be at least 32 characters"),
        (MADE[1], "the gateway needs an optional dependency; install it with: pip install 'streamsink[asgi]'"),
        (MADE[2], "too many"),
        (MADE[3], "the store has lost events and begun epoch 17; append the run again"),
    ],
)
def test_an_error_says_what_to_do(error: StreamSinkError, text: str) -> None:
    assert str(error) == text


def test_an_error_holds_its_data() -> None:
    settings, extra, busy, epoch = MADE[:4]

    assert isinstance(settings, SettingsError)
    assert (settings.variable, settings.expected) == ("STREAM_SECRET", "at least 32 characters")
    assert isinstance(extra, MissingExtraError)
    assert (extra.purpose, extra.extra) == ("the gateway", "asgi")
    assert isinstance(busy, BusyError)
    assert (busy.retry_after_s, BusyError("x").retry_after_s) == (2.5, 1.0)
    assert isinstance(epoch, EpochChangedError)
    assert epoch.epoch == 17


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_errors_travel_between_processes(error: StreamSinkError) -> None:
    """Celery sends them home."""
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy)) == (type(error), str(error))


def test_the_durable_entity_does_not_run_a_failed_attempt_again() -> None:
    """It runs an agent again after anything but a TypeError that speaks of neither ``stream`` nor ``__aiter__``."""
    error = AttemptFailedError("the agent did not complete its answer")

    assert isinstance(error, TypeError)
    assert "stream" not in str(error)
    assert "__aiter__" not in str(error)
