"""Connection tokens that any node accepts without having issued them, and which node has which connection.

A token is signed and nowhere stored; claiming it writes the connection's record to Redis, ``<node id> <claim>``. The
end of the connection leaves an empty record, a tombstone, which outlives the token: it is good once.

Whoever can write to the Redis can give connections to other nodes, but cannot make tokens.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streamsink.backends.gateway.connection_tokens import UNKNOWN, ConnectionTokens, Issued, TokenState, new_id
from streamsink.backends.redis.scripts import Script
from streamsink.backends.redis.signed_tokens import SignedToken, TokenSigner
from streamsink.core.errors import ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from streamsink.backends.redis.keys import Keys
    from streamsink.backends.redis.store import Store

__all__ = ["SignedConnectionTokens"]

_log = logging.getLogger("streamsink")

_NODE_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_IN_USE: Final = "The connection is already in use"
# Some round trips of the store, so that nothing else waits for long.
_AT_ONCE: Final = 250
# A tombstone is there for as long as a refresh of its connection may still be on its way.
_SHORTEST_TOMBSTONE_MS: Final = 60_000

# All of them may be run again: a call that got no answer may have happened.
_CLAIM: Final = Script.of("return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])")
_LOOK: Final = Script.of("return redis.call('GET', KEYS[1])")
# A record that is missing was lost: by a flush, an eviction, a failover.
_KEEP: Final = Script.of("""
local record = redis.call('GET', KEYS[1])
if not record then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif record == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return record
""")
_END: Final = Script.of("""
local record = redis.call('GET', KEYS[1])
if not record or record == ARGV[1] then redis.call('SET', KEYS[1], '', 'PX', ARGV[2]) end
return record
""")


class _Claim(msgspec.Struct, frozen=True, gc=False):
    connection_id: str
    expires_ms: int
    record: bytes


class SignedConnectionTokens(ConnectionTokens):
    """The tokens of a deployment.

    A token can be claimed for at least ``life_s``, and for ``2 * clock_difference_s`` more at most, by hosts whose
    clocks differ by no more than ``clock_difference_s``. From a host whose clock is ahead by more it is refused.
    A Redis that loses a claim before its token is too old lets the same user connect with it again.

    Args:
        store: where claims are.
        keys: their names.
        secrets: the first signs, all verify; each at least 32 bytes, the same on every node.
        node_id: this process's, and no other's, an earlier one's included: letters, digits, ``_.:-``.
        clock: seconds since 1970.
        make_id: a fresh unguessable id, of base64url characters.
        life_s: from negotiate to connect.
        clock_difference_s: by which the clocks of hosts may differ.
        claim_s: how long a claim is known after the last :meth:`refresh`; longer than a token lives.

    Raises:
        SettingsError: no secret, or a short one.
        ValueError: no such node id.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        secrets: Sequence[bytes],
        *,
        node_id: str,
        clock: Callable[[], float] = time.time,
        make_id: Callable[[], str] = new_id,
        life_s: float = 15.0,
        clock_difference_s: float = 5.0,
        claim_s: float = 3600.0,
    ) -> None:
        if not _NODE_ID.fullmatch(node_id):
            raise ValueError("a node id is 1 to 128 letters, digits and `_.:-`")
        self._store = store
        self._keys = keys
        self._signer = TokenSigner(secrets)
        self._node_id = node_id
        self._clock = clock
        self._make_id = make_id
        self._life_ms = int(life_s * 1000)
        self._difference_ms = int(clock_difference_s * 1000)
        self._claim_ms = int(claim_s * 1000)
        self._claims: dict[str, _Claim] = {}
        self._has_warned = False

    def __len__(self) -> int:
        """How many connections this node has."""
        return len(self._claims)

    async def issue(self, *, hub: str, user_id: str | None, is_secret: bool) -> Issued:
        connection_id, expires_ms = self._make_id(), self._now_ms() + self._life_ms
        token = self._signer.sign(connection_id, expires_ms, hub=hub, user_id=user_id, is_secret=is_secret)
        return Issued(connection_id if is_secret else token, token)

    async def claim(self, token: str, *, hub: str, user_id: str | None) -> str:
        """Use a token; returns its connection id. A claim that fails may have used it.

        Raises:
            NotFoundError: unknown, too old, somebody else's, or its connection is over.
            ConflictError: in use, on whichever node.
            UnavailableError: it cannot be told.
        """
        signed = self._signer.verify(token, hub=hub, user_id=user_id)
        if signed is None:
            raise NotFoundError(UNKNOWN)
        if token in self._claims:
            raise ConflictError(_IN_USE)
        if not self._is_timely(signed):
            self._warn_of_clock(signed)
            raise _refusal(await self._look(signed.connection_id))
        claim = _Claim(signed.connection_id, signed.expires_ms, f"{self._node_id} {self._make_id()}".encode())
        record = await self._run(_CLAIM, claim.connection_id, claim.record, self._claim_ms)
        # Its own record is there when the store had to ask twice, since the first answer was lost.
        if record not in (None, claim.record):
            raise _refusal(record)
        self._claims[token] = claim
        return claim.connection_id

    async def state(self, token: str, *, hub: str, user_id: str | None) -> TokenState:
        """What a token of this user and hub is good for.

        Raises:
            UnavailableError: it cannot be told.
        """
        signed = self._signer.verify(token, hub=hub, user_id=user_id)
        if signed is None:
            return "unknown"
        if token in self._claims:
            return "connected"
        record = await self._look(signed.connection_id)
        if record is None:
            return "waiting" if self._is_timely(signed) else "unknown"
        return "connected" if record else "unknown"

    async def release(self, token: str) -> None:
        """The connection of a token that was claimed here is over; it cannot be used again. Again is no error.

        While Redis cannot be reached the token stays as it is, in use, for at most ``claim_s``.
        """
        claim = self._claims.pop(token, None)
        if claim is None:
            return
        # Two differences: of who signed it to who would accept it, and of that one to this host.
        left_ms = claim.expires_ms - self._now_ms() + 2 * self._difference_ms
        ttl_ms = max(left_ms, _SHORTEST_TOMBSTONE_MS)
        try:
            await self._run(_END, claim.connection_id, claim.record, ttl_ms)
        except UnavailableError as error:
            _log.debug("the end of connection %s was not recorded: %s", claim.connection_id, error)

    async def refresh(self) -> None:
        """Have this node's claims known for another ``claim_s``, and record again those that Redis has lost.

        To be called several times in ``claim_s``. Some hundred connections share a round trip.

        Raises:
            UnavailableError: some, perhaps none, were.
        """
        waiting = iter(tuple(self._claims))
        while some := tuple(islice(waiting, _AT_ONCE)):
            outcomes = await asyncio.gather(*self._keeping(some), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def node_of(self, connection_id: str) -> str | None:
        """Which node has a connection; None: nobody knows of one. A node that died may still be named.

        Raises:
            UnavailableError: it cannot be told.
        """
        record = await self._look(connection_id)
        return record.partition(b" ")[0].decode() if record else None

    def _keeping(self, tokens: Sequence[str]) -> Iterator[Coroutine[Any, Any, bytes | None]]:
        for token in tokens:
            claim = self._claims.get(token)
            if claim is not None:  # not released meanwhile
                yield self._run(_KEEP, claim.connection_id, claim.record, self._claim_ms)

    async def _look(self, connection_id: str) -> bytes | None:
        return await self._run(_LOOK, connection_id)

    async def _run(self, script: Script, connection_id: str, *args: bytes | int) -> bytes | None:
        record: bytes | None = await self._store.run(script, [self._keys.connection(connection_id)], args)
        return record

    def _is_timely(self, signed: SignedToken) -> bool:
        left_ms = signed.expires_ms - self._now_ms()
        return -self._difference_ms < left_ms <= self._life_ms + self._difference_ms

    def _warn_of_clock(self, signed: SignedToken) -> None:
        ahead_ms = signed.expires_ms - self._now_ms() - self._life_ms
        if ahead_ms > self._difference_ms and not self._has_warned:
            self._has_warned = True  # once: what is wrong is wrong with every token
            _log.warning("connection tokens are refused: the clocks of two hosts differ by %d ms or more", ahead_ms)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _refusal(record: bytes | None) -> ConflictError | NotFoundError:
    """Of a token that cannot be claimed, since its connection has this record."""
    return ConflictError(_IN_USE) if record else NotFoundError(UNKNOWN)
