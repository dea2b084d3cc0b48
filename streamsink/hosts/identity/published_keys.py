"""The keys that an identity provider publishes (JWKS, RFC 7517)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import jwt
from jwt.algorithms import has_crypto

from streamsink.core.errors import MissingExtraError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PublishedKeys"]

LIFETIME_S: Final = 300.0
UNKNOWN_KEY_COOLDOWN_S: Final = 30.0
FAILURE_COOLDOWN_S: Final = 5.0
TIMEOUT_S: Final = 5.0


class PublishedKeys:
    """Fetches the keys when one is needed that is not among those remembered; remembers them for 5 minutes.

    Fetching happens in one thread of its own, one fetch at a time, so that a slow provider delays only those
    who need it. Callers cannot make it fetch at will: a key that is still unknown is looked for again after
    30 seconds, a provider that failed is asked again after 5.

    Args:
        url: where the keys are; redirects are not followed by current versions of PyJWT.
        clock: seconds.
        timeout_s: how long a caller waits for a fetch.
        fetch: for tests: the keys, or raises what PyJWKClient raises.

    Raises:
        MissingExtraError: the package ``cryptography`` is not installed.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float],
        *,
        timeout_s: float = TIMEOUT_S,
        fetch: Callable[[], list[jwt.PyJWK]] | None = None,
    ) -> None:
        if not has_crypto:
            raise MissingExtraError("bearer tokens signed with published keys", "jwks")
        client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=timeout_s)
        self._fetch = fetch or client.get_signing_keys
        self._clock = clock
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="streamsink-jwks")
        self._keys: dict[str, jwt.PyJWK] = {}
        self._current_until = self._ask_again_at = clock()
        self._is_down = False

    async def find(self, kid: str) -> jwt.PyJWK:
        """The key of that id.

        Raises:
            UnauthenticatedError: no such key is published.
            UnavailableError: the keys cannot be fetched.
        """
        if self._known(kid) is None:
            await self._wait_for_fetch(kid)
        key = self._known(kid)
        if key is not None:
            return key
        if self._is_down:
            raise UnavailableError("the keys that bearer tokens are signed with cannot be fetched; try again")
        raise UnauthenticatedError("the bearer token is signed with a key that is not published")

    def _known(self, kid: str) -> jwt.PyJWK | None:
        return self._keys.get(kid) if self._clock() < self._current_until else None

    async def _wait_for_fetch(self, kid: str) -> None:
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._fetch_if_due, kid)
        try:
            async with asyncio.timeout(self._timeout_s):
                await done
        except TimeoutError:
            raise UnavailableError("the keys that bearer tokens are signed with are slow; try again") from None

    def _fetch_if_due(self, kid: str) -> None:
        # In the thread, so one at a time: whoever waited for it finds what the one before has fetched.
        now = self._clock()
        if self._known(kid) is not None or now < self._ask_again_at:
            return
        try:
            keys = self._fetch()
        except (jwt.PyJWTError, OSError, ValueError):
            self._is_down = True
            self._ask_again_at = now + FAILURE_COOLDOWN_S
            return
        self._is_down = False
        self._keys = {key.key_id: key for key in keys if key.key_id is not None}
        self._current_until = now + LIFETIME_S
        self._ask_again_at = now + UNKNOWN_KEY_COOLDOWN_S
