"""Every ``STREAM_*`` variable of the package itself; docs/settings.md is their table.

Backends have settings types of their own, read the same way (``streamsink.core.variables``).
"""

# No postponed annotations here: they are read at run time.
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Self

from streamsink.core.auth_settings import Auth
from streamsink.core.errors import SettingsError
from streamsink.core.origins import Origin
from streamsink.core.secrets import RING_EXPECTED, SecretRing
from streamsink.core.variables import (
    Range,
    Variable,
    absolute_url,
    number,
    read,
    refuse_unknown,
    several,
    variable_names,
    whole,
)

__all__ = ["Limits", "Settings", "Times"]

KIB: Final = 1_024
MIB: Final = 1_024 * KIB
GIB: Final = 1_024 * MIB

WINDOW_MS: Final = Range(0, 5_000)
MESSAGES_PER_S: Final = Range(1, 10_000)
EVENT_BYTES: Final = Range(1 * KIB, 1 * MIB)
BUFFER_BYTES: Final = Range(64 * KIB, 1 * GIB)
BODY_BYTES: Final = Range(1 * KIB, 64 * MIB)
PROMPT_CHARS: Final = Range(1, 1_000_000)
OPEN_RUNS: Final = Range(1, 1_000)
ALL_OPEN_RUNS: Final = Range(1, 100_000)
REQUESTS_PER_MINUTE: Final = Range(1, 1_000_000)
UP_TO_A_DAY_S: Final = Range(1, 86_400)
UP_TO_AN_HOUR_S: Final = Range(1, 3_600)
GRACE_S: Final = Range(0, 3_600)
TOKEN_LIFETIME_S: Final = Range(60, 86_400)

_PLUGIN_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PLUGIN_EXPECTED: Final = "the name of an installed backend, such as `memory`"


def _plugin_name(text: str) -> str:
    if not _PLUGIN_NAME.fullmatch(text):
        raise ValueError("not a name")
    return text


def _public_url(text: str) -> str:
    if "?" in text:
        raise ValueError("with a query")
    return absolute_url(text).rstrip("/")


def _origin(text: str) -> str:
    if Origin.parse(text) is None:
        raise ValueError("not an origin")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one caller, run or event may take.

    Raises:
        SettingsError: an event could not fit into a run's buffer.
    """

    max_event_bytes: Annotated[int, whole("STREAM_MAX_EVENT_BYTES", EVENT_BYTES)] = 64 * KIB
    max_buffer_bytes: Annotated[int, whole("STREAM_MAX_BUFFER_BYTES", BUFFER_BYTES)] = 1 * MIB
    max_body_bytes: Annotated[int, whole("STREAM_MAX_BODY_BYTES", BODY_BYTES)] = 256 * KIB
    max_prompt_chars: Annotated[int, whole("STREAM_MAX_PROMPT_CHARS", PROMPT_CHARS)] = 32_000
    queue_limit: Annotated[int, whole("STREAM_QUEUE_LIMIT", OPEN_RUNS)] = 8
    max_runs: Annotated[int, whole("STREAM_MAX_RUNS", ALL_OPEN_RUNS)] = 200
    max_runs_per_user: Annotated[int, whole("STREAM_MAX_RUNS_PER_USER", OPEN_RUNS)] = 8
    requests_per_minute: Annotated[int, whole("STREAM_REQUESTS_PER_MINUTE", REQUESTS_PER_MINUTE)] = 240

    def __post_init__(self) -> None:
        if self.max_buffer_bytes < self.max_event_bytes:
            raise SettingsError("STREAM_MAX_BUFFER_BYTES", "at least STREAM_MAX_EVENT_BYTES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long things may take, in seconds."""

    run_timeout_s: Annotated[float, number("STREAM_RUN_TIMEOUT_S", UP_TO_A_DAY_S)] = 600
    queue_timeout_s: Annotated[float, number("STREAM_QUEUE_TIMEOUT_S", UP_TO_A_DAY_S)] = 300
    redelivery_s: Annotated[float, number("STREAM_REDELIVERY_S", UP_TO_A_DAY_S)] = 600
    lease_s: Annotated[float, number("STREAM_LEASE_S", UP_TO_AN_HOUR_S)] = 30
    drain_s: Annotated[float, number("STREAM_DRAIN_S", GRACE_S)] = 10
    wait_s: Annotated[float, number("STREAM_WAIT_S", UP_TO_AN_HOUR_S)] = 220
    token_lifetime_s: Annotated[int, whole("STREAM_TOKEN_LIFETIME_S", TOKEN_LIFETIME_S)] = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The package's own settings. Values given in code are trusted; those of the environment are checked.

    Args:
        backend: who delivers.
        history: who keeps the timelines; None: the backend itself.
        secret: what signs; None: nothing was set, and the host decides whether one process may invent one.
        public_url: where clients reach this host, with the prefix that it is mounted under and no slash at
            the end; None: where each request says it came to.
        allowed_origins: pages elsewhere that may call.
        window_ms: how long text is collected before it is sent; None: as the backend says.
        budget_per_s: messages per second that this process may send; None: no bound.
    """

    backend: Annotated[str, Variable("STREAM_BACKEND", _PLUGIN_EXPECTED, _plugin_name)] = "memory"
    history: Annotated[
        str | None, Variable("STREAM_HISTORY", "the name of an installed history, or `none`", _plugin_name)
    ] = None
    secret: Annotated[SecretRing | None, Variable("STREAM_SECRET", RING_EXPECTED, SecretRing.parse)] = None
    public_url: Annotated[
        str | None,
        Variable("STREAM_PUBLIC_URL", "an `http` or `https` URL without query and fragment", _public_url),
    ] = None
    allowed_origins: Annotated[
        tuple[str, ...],
        several(
            "STREAM_ALLOWED_ORIGINS",
            "exact origins such as `https://app.example.com`, no paths, no `*`, separated by commas",
            _origin,
        ),
    ] = ()
    window_ms: Annotated[int | None, whole("STREAM_WINDOW_MS", WINDOW_MS)] = None
    budget_per_s: Annotated[int | None, whole("STREAM_BUDGET_PER_S", MESSAGES_PER_S)] = None
    limits: Limits = field(default_factory=Limits)
    times: Times = field(default_factory=Times)
    auth: Auth = field(default_factory=Auth)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, also_known: Collection[str] = ()) -> Self:
        """The settings that an environment describes.

        Args:
            environ: ``os.environ``, or a test's.
            also_known: other variables beginning with ``STREAM_`` that somebody reads: those of the backends.

        Raises:
            SettingsError: a variable is wrong, unknown, or does not go with another; names it and what it
                should be, and quotes no value.
        """
        refuse_unknown(environ, {*variable_names(cls), *also_known})
        return read(cls, environ)

    def with_secret(self, secret: SecretRing) -> Self:
        """The same settings, signed with ``secret``: for one process that invents its own."""
        return replace(self, secret=secret)
