"""Where the Redis is, and how much it remembers."""

# No postponed annotations here: they are read at run time.
import re
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import urlsplit

from streamsink.core.variables import Range, Variable, absolute_url, choice, number, whole

__all__ = ["RedisSettings"]

KEPT_EVENTS: Final = Range(100, 10_000_000)
KEPT_S: Final = Range(60, 31_536_000)
TIMEOUT_S: Final = Range(1, 60)

_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DATABASE: Final = re.compile(r"/?[0-9]{0,5}")
_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_URL_EXPECTED: Final = "a URL such as `redis://user:password@host:6379/0`; `rediss://` for TLS, `unix://` for a socket"


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES or not (parts.path if parts.scheme == "unix" else parts.netloc):
        raise ValueError("not such a URL")
    if parts.scheme in ("redis", "rediss") and not _DATABASE.fullmatch(parts.path):
        raise ValueError("not a database")  # redis-py would take 0
    return text


def _gateway_url(text: str) -> str:
    if "?" in text:
        raise ValueError("with a query")
    return absolute_url(text).rstrip("/")


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("not a prefix")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Args:
    url: of the server. Not shown: it may have a password.
    prefix: of every key and channel; deployments that share a server need one each.
    timeout_s: how long one call may take before it counts as failed.
    events: events per thread, before those that a snapshot covers are trimmed.
    ttl_s: a thread untouched for so many seconds is forgotten.
    gateway_url: where clients connect, with the prefix that the gateways are mounted under and no slash at the end;
        None: to the host that they negotiate with.
    sticky_routing: the balancer sends a client to the node that it has negotiated with, so that transports other
        than WebSockets may be offered with several nodes.
    """

    url: Annotated[str, Variable("STREAM_REDIS_URL", _URL_EXPECTED, _url)] = field(
        default="redis://127.0.0.1:6379/0", repr=False
    )
    prefix: Annotated[str, Variable("STREAM_REDIS_PREFIX", "up to 64 letters, digits and `_.:-`", _prefix)] = (
        "streamsink"
    )
    timeout_s: Annotated[float, number("STREAM_REDIS_TIMEOUT_S", TIMEOUT_S)] = 5
    events: Annotated[int, whole("STREAM_HISTORY_EVENTS", KEPT_EVENTS)] = 10_000
    ttl_s: Annotated[int, whole("STREAM_HISTORY_TTL_S", KEPT_S)] = 86_400
    gateway_url: Annotated[
        str | None,
        Variable("STREAM_GATEWAY_URL", "an `http` or `https` URL without query and fragment", _gateway_url),
    ] = None
    sticky_routing: Annotated[str, choice("STREAM_STICKY_ROUTING", "no", "yes")] = "no"
