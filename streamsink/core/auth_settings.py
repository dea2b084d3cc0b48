"""The settings that say how callers are known."""

# No postponed annotations here: they are read at run time.
import re
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from streamsink.core.errors import SettingsError
from streamsink.core.origins import Origin
from streamsink.core.variables import Variable, absolute_url, choice, several

__all__ = ["PUBLISHED_KEY_ALGORITHMS", "SHARED_SECRET_ALGORITHMS", "Auth", "Jwt"]

SHARED_SECRET_ALGORITHMS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""With the least length of a secret in bytes: that of the hash (RFC 7518 section 3.2)."""

PUBLISHED_KEY_ALGORITHMS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""With the type of key that each needs (RFC 7518 section 3.1, RFC 8037)."""

_MAX_TEXT_CHARACTERS: Final = 1_000
_SERVICE_KEY: Final = re.compile(r"[!-~]{32,1000}")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


def _text(text: str) -> str:
    if len(text) > _MAX_TEXT_CHARACTERS or not text.isprintable():
        raise ValueError("too long, or with control characters")
    return text


def _jwt_secret(text: str) -> str:
    if len(_text(text).encode()) < SHARED_SECRET_ALGORITHMS["HS256"]:
        raise ValueError("too short")
    return text


def _keys_url(text: str) -> str:
    origin = Origin.of_url(absolute_url(text))
    if origin is not None and origin.scheme != "https" and origin.host not in _LOOPBACK:
        raise ValueError("keys that were fetched without TLS may be anybody's")
    return text


def _algorithm(text: str) -> str:
    if text not in SHARED_SECRET_ALGORITHMS and text not in PUBLISHED_KEY_ALGORITHMS:
        raise ValueError("unknown")
    return text


def _service_key(text: str) -> str:
    if not _SERVICE_KEY.fullmatch(text):
        raise ValueError("too short, or not visible ASCII")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """How bearer tokens are verified.

    Args:
        secret: shared with whoever signs them.
        jwks_url: where the keys of whoever signs them are published; the secret or this, not both.
        audience: what a token's ``aud`` must contain.
        issuer: what a token's ``iss`` must be; None: anything that the key vouches for.
        algorithms: empty: HS256 with a secret, RS256 and ES256 with published keys.

    Raises:
        SettingsError: the algorithms do not fit the kind of key, or need a longer secret.
    """

    secret: Annotated[str | None, Variable("STREAM_JWT_SECRET", "a secret of at least 32 characters", _jwt_secret)] = (
        field(default=None, repr=False)
    )
    jwks_url: Annotated[
        str | None,
        Variable("STREAM_JWT_JWKS_URL", "an `https` URL without user name and fragment", _keys_url),
    ] = None
    audience: Annotated[str | None, Variable("STREAM_JWT_AUDIENCE", "a text", _text)] = None
    issuer: Annotated[str | None, Variable("STREAM_JWT_ISSUER", "a text", _text)] = None
    algorithms: Annotated[
        tuple[str, ...],
        several(
            "STREAM_JWT_ALGORITHMS",
            "some of HS256, HS384, HS512 with a secret, or of RS*, PS*, ES* (256, 384, 512) and EdDSA with "
            "published keys, separated by commas",
            _algorithm,
        ),
    ] = ()

    def __post_init__(self) -> None:
        usable = PUBLISHED_KEY_ALGORITHMS if self.secret is None else SHARED_SECRET_ALGORITHMS
        if self.is_set and not set(self.allowed_algorithms) <= set(usable):
            raise SettingsError("STREAM_JWT_ALGORITHMS", f"some of {', '.join(usable)} with this kind of key")
        if self.secret is not None:
            needed = max(SHARED_SECRET_ALGORITHMS[name] for name in self.allowed_algorithms)
            if len(self.secret.encode()) < needed:
                raise SettingsError("STREAM_JWT_SECRET", f"at least {needed} characters for these algorithms")

    @property
    def is_set(self) -> bool:
        """Whether there is anything to verify tokens with."""
        return self.secret is not None or self.jwks_url is not None

    @property
    def allowed_algorithms(self) -> tuple[str, ...]:
        """The algorithms that a token may be signed with."""
        return self.algorithms or (("RS256", "ES256") if self.secret is None else ("HS256",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Who is let in.

    Args:
        mode: ``anonymous``: everybody, each as a user of their own, by cookie; ``jwt``: bearers of a token.
        jwt: how tokens are verified, when ``mode`` is ``jwt``.
        service_keys: callers who show one of these may act on every thread.

    Raises:
        SettingsError: the mode needs what is not set, or something is set that the mode would ignore.
    """

    mode: Annotated[Literal["anonymous", "jwt"], choice("STREAM_AUTH", "anonymous", "jwt")] = "anonymous"
    jwt: Jwt = field(default_factory=Jwt)
    service_keys: Annotated[
        tuple[str, ...],
        several(
            "STREAM_SERVICE_KEYS",
            "keys of at least 32 visible ASCII characters, separated by commas",
            _service_key,
        ),
    ] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.mode == "anonymous":
            # Ignored token settings would leave open what somebody meant to close.
            _require(self.jwt == Jwt(), "STREAM_AUTH", "`jwt` when STREAM_JWT_* variables are set")
            return
        _require(self.jwt.is_set, "STREAM_JWT_SECRET", "set when STREAM_AUTH is `jwt`, or STREAM_JWT_JWKS_URL")
        both = self.jwt.secret is not None and self.jwt.jwks_url is not None
        _require(not both, "STREAM_JWT_SECRET", "removed when STREAM_JWT_JWKS_URL is set: one or the other")
        _require(self.jwt.audience is not None, "STREAM_JWT_AUDIENCE", "set when STREAM_AUTH is `jwt`")


def _require(holds: bool, variable: str, expected: str) -> None:
    if not holds:
        raise SettingsError(variable, expected)
