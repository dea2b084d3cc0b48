"""Everything Streamsink raises, one tree.

StreamSinkError
├── SettingsError           a setting is missing or wrong: names the variable and what it should be
├── MissingExtraError       an optional dependency is not installed: names the command that installs it
├── BackendError            the plugin registry: unknown or duplicate names, missing abilities
├── InvalidRequestError     bad input (400): nothing was changed
│   ├── TooLargeError       … over a bound (413)
│   └── KeyReusedError      … an idempotency key was used for another request (422)
├── UnauthenticatedError    nobody known is calling (401)
├── ForbiddenError          not this caller's (403); never tells whether the thing exists
├── NotFoundError           no such thing (404)
│   └── ConnectionGoneError … no such connection (any more)
├── ConflictError           not in this state (409)
│   ├── ThreadDeletedError  the thread has been deleted (410)
│   ├── RunClosedError      the run has its terminal
│   └── StaleAttemptError   a newer attempt of the run exists
├── BusyError               over a rate or a queue's bound (429): try again later
├── UnavailableError        a dependency is unreachable (503): try again; nothing is known to have been lost
│   └── PartlyDeliveredError … after some of the events had been delivered
├── EpochChangedError       the store fell behind its producer; append the run again
├── StreamOverflowError     a bounded buffer is full
└── AttemptFailedError      the agent has been executed, and failed
"""

from __future__ import annotations

__all__ = [
    "AttemptFailedError",
    "BackendError",
    "BusyError",
    "ConflictError",
    "ConnectionGoneError",
    "EpochChangedError",
    "ForbiddenError",
    "InvalidRequestError",
    "KeyReusedError",
    "MissingExtraError",
    "NotFoundError",
    "PartlyDeliveredError",
    "RunClosedError",
    "SettingsError",
    "StaleAttemptError",
    "StreamOverflowError",
    "StreamSinkError",
    "ThreadDeletedError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
]


class StreamSinkError(Exception):
    """Root of the tree.

    ``code`` and ``status`` are what the HTTP API answers; the text is written for the person who reads it and
    contains neither secrets nor prompts.
    """

    code = "internal_error"
    status = 500


class SettingsError(StreamSinkError):
    """A setting is missing or wrong.

    Args:
        variable: the environment variable.
        expected: what it should be, as the end of the sentence "… should be".
    """

    code = "settings"

    def __init__(self, variable: str, expected: str) -> None:
        super().__init__(variable, expected)
        self.variable = variable
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.variable} should be {self.expected}"


class MissingExtraError(StreamSinkError):
    """An optional dependency is not installed."""

    code = "missing_extra"

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(purpose, extra)
        self.purpose = purpose
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.purpose} needs an optional dependency; install it with: pip install 'streamsink[{self.extra}]'"


class BackendError(StreamSinkError):
    """A backend cannot be found, is registered twice, or lacks an ability that was asked for."""

    code = "backend"


class InvalidRequestError(StreamSinkError):
    """Bad input. Nothing was changed."""

    code = "invalid_request"
    status = 400


class TooLargeError(InvalidRequestError):
    """Input over a bound. Nothing was changed."""

    code = "too_large"
    status = 413


class KeyReusedError(InvalidRequestError):
    """The idempotency key belongs to another request of this thread."""

    code = "idempotency_key_reused"
    status = 422


class UnauthenticatedError(StreamSinkError):
    """Nobody known is calling."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(StreamSinkError):
    """Not this caller's. Says the same whether or not the thing exists."""

    code = "forbidden"
    status = 403


class NotFoundError(StreamSinkError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class ConnectionGoneError(NotFoundError):
    """There is no such client connection, or no longer."""

    code = "no_such_connection"


class ConflictError(StreamSinkError):
    """Not possible in the present state."""

    code = "conflict"
    status = 409


class ThreadDeletedError(ConflictError):
    """The thread has been deleted; its tombstone refuses everything."""

    code = "thread_deleted"
    status = 410


class RunClosedError(ConflictError):
    """The run has its terminal; nothing can be added."""

    code = "run_closed"


class StaleAttemptError(ConflictError):
    """A newer attempt of the run exists; this one must stop."""

    code = "stale_attempt"


class BusyError(StreamSinkError):
    """Over a rate, or a queue's bound. ``retry_after_s`` is a hint in seconds."""

    code = "busy"
    status = 429

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(StreamSinkError):
    """A dependency is unreachable. The same call may be made again, ``retry_after_s`` seconds from now where the
    dependency says when."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PartlyDeliveredError(UnavailableError):
    """A delivery stopped on its way: the first ``count`` of the events that it was given need not be given again."""

    def __init__(self, message: str, count: int, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.count = count


class EpochChangedError(StreamSinkError):
    """The store fell behind its producer and has opened ``epoch``; nothing of the batch was appended.

    The producer begins a new attempt and appends its run again from the first record.
    """

    code = "epoch_changed"

    def __init__(self, epoch: int) -> None:
        super().__init__(epoch)
        self.epoch = epoch

    def __str__(self) -> str:
        return f"the store has lost events and begun epoch {self.epoch}; append the run again"


class StreamOverflowError(StreamSinkError):
    """A bounded buffer is full: what produces is faster than what consumes, past the bound."""

    code = "stream_overflow"
    status = 503


class AttemptFailedError(StreamSinkError, TypeError):
    """The agent has been executed and failed; the run has its terminal, or gets it from a sweep.

    A TypeError, and worded as it is, because the framework's durable entity runs an agent a second time, without
    streaming and tools included, after every other exception (agent-framework-azurefunctions 1.0.0b260922).
    """

    code = "agent_error"
