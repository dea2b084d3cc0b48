"""The token that the load generator shows to our gateways, and what they sign with."""

from __future__ import annotations

import time

from streamsink.backends.gateway.tokens import AccessTokens
from streamsink.core.identity import User
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings

SETTINGS = Settings(secret=SecretRing({"bench": "bench" * 8}))
assert SETTINGS.secret is not None
KEYS = SETTINGS.secret.keys("client access token")


def token(port: int) -> str:
    """Good for one user and this gateway."""
    tokens = AccessTokens(KEYS, clock=time.time)
    return tokens.mint(User(subject="load").id, base_url=f"http://127.0.0.1:{port}", hub="streamsink")
