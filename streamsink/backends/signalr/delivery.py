"""Delivery through Azure SignalR Service in serverless mode."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

from streamsink.backends.gateway.negotiate import client_url
from streamsink.backends.signalr.replies import ServiceError
from streamsink.backends.signalr.rest import HubApi, message
from streamsink.backends.signalr.tokens import client_audience, signalr_user_id
from streamsink.core.delivery import ConnectInfo, Delivery, ListsMembers
from streamsink.core.errors import ConnectionGoneError, PartlyDeliveredError, UnavailableError
from streamsink.core.measures import Measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsink.backends.signalr.client import SignalRClient
    from streamsink.backends.signalr.connection_string import ConnectionString
    from streamsink.backends.signalr.credentials import Credentials
    from streamsink.core.events import Event
    from streamsink.core.identity import User

__all__ = ["SignalRDelivery"]

_log = logging.getLogger("streamsink")

# A name that no thread id can have: nobody is ever in this group.
_NOBODY: Final = "streamsink?ready"


class SignalRDelivery(Delivery, ListsMembers, Measures):
    """One message to the group for each event: the service has no call for several.

    The events of one call arrive in order, because each waits for the service to accept the one before. The
    service forgets a connection's groups with the connection, and tells nobody whose a connection is: ``join`` cannot
    check ``user_id``, the caller's right to the *thread* is what counts, and a client ignores events of threads that it
    did not ask to join.

    Args:
        service: where it is.
        hub: the hub's name.
        client: calls it; closed with this delivery.
        credentials: make client tokens, or leave that to the service.
        token_lifetime_s: of a client's token.
        patience_s: after so long ``deliver`` stops between two events, for others to go on; the rest is given again.

    Raises:
        InvalidRequestError: not a hub name.
    """

    def __init__(
        self,
        service: ConnectionString,
        hub: str,
        client: SignalRClient,
        credentials: Credentials,
        *,
        token_lifetime_s: int = 3_600,
        patience_s: float = 10.0,
    ) -> None:
        self._service = service
        self._api = HubApi(service.server_endpoint, hub)
        self._client = client
        self._credentials = credentials
        self._token_lifetime_s = token_lifetime_s
        self._patience_s = patience_s

    async def deliver(self, thread: str, events: Sequence[Event]) -> None:
        stop_at = self._client.clock() + self._patience_s
        for count, event in enumerate(events):
            if count and self._client.clock() > stop_at:
                raise PartlyDeliveredError("Azure SignalR Service is slow", count)
            try:
                await self._send(thread, event)
            except UnavailableError as error:
                if count:
                    raise PartlyDeliveredError(str(error), count, retry_after_s=error.retry_after_s) from error
                raise

    async def _send(self, thread: str, event: Event) -> None:
        """An event that the service will never take is left out, so that it does not hold up those behind it: clients
        see the hole and read it from the timeline."""
        content = message(event.target, event.json)
        try:
            await self._client.call(self._api.send_to_group(thread, content))
        except ServiceError as error:
            if error.fault != "request":
                raise
            self._client.meter.count("refused")
            _log.error("an event of %d bytes cannot be delivered: %s", len(content), error)
        else:
            self._client.meter.sent(thread, len(content))

    async def join(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        try:
            await self._client.call(self._api.add_connection(thread, connection_id))
        except ConnectionGoneError:
            self._client.meter.left(thread, connection_id)
            raise
        self._client.meter.joined(thread, connection_id)

    async def leave(self, thread: str, connection_id: str, *, user_id: str | None) -> None:
        await self._client.call(self._api.remove_connection(thread, connection_id))
        self._client.meter.left(thread, connection_id)

    async def dissolve(self, thread: str) -> None:
        """Remove every connection that the service lists; those that join meanwhile are not waited for.

        Raises:
            UnavailableError: some may be left; nothing is sent to a deleted thread in any case.
        """
        for connection_id in await self.members(thread):
            await self.leave(thread, connection_id, user_id=None)

    async def members(self, thread: str) -> list[str]:
        """The ids of the group's connections.

        Raises:
            UnavailableError: the service cannot be asked.
        """
        found: dict[str, None] = {}
        seen: set[str | None] = set()
        page: str | None = None
        while page not in seen:
            seen.add(page)
            ids, page = await self._client.call(self._api.members(thread, page=page))
            found.update(dict.fromkeys(ids))
            if page is None:
                break
        self._client.meter.listed(thread, found)
        return list(found)

    async def connect_info(self, user: User, base_url: str) -> ConnectInfo:
        audience = client_audience(self._service.endpoint, self._api.hub)
        user_id = signalr_user_id(user)
        token = self._credentials.client_token(audience, user_id, lifetime_s=self._token_lifetime_s)
        if token is None:
            minutes = math.ceil(self._token_lifetime_s / 60)
            token = await self._client.call(self._api.generate_token(user_id, minutes=minutes))
        return ConnectInfo(client_url(self._service.client_endpoint, self._api.hub), token)

    async def check(self) -> None:
        """Return when the service is there, knows us, and did what it was last asked.

        Raises:
            UnavailableError: one of these is not so.
        """
        await self._client.call(self._api.health())
        if not self._client.health.is_proven:
            await self._client.call(self._api.group_exists(_NOBODY))
        if trouble := self._client.health.trouble:
            raise UnavailableError(trouble)

    def measure(self) -> dict[str, int]:
        """As ``Meter.measure``."""
        return self._client.meter.measure()

    async def aclose(self) -> None:
        await self._client.aclose()
