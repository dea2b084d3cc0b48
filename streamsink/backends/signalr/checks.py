"""What ``streamsink doctor`` looks at, at a real service: first what is asked of it, then what clients get.

Everything is sent to a group and to users of a name that nobody else has.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from streamsink.backends.signalr.client_checks import ClientChecks
from streamsink.backends.signalr.probe import Probe
from streamsink.backends.signalr.rest import message
from streamsink.core.checks import Check, Doubt
from streamsink.core.errors import ConnectionGoneError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Any

    from streamsink.backends.signalr.rest import Request
    from streamsink.backends.signalr.settings import SignalRSettings
    from streamsink.core.runtime import Runtime
    from streamsink.core.settings import Settings

__all__ = ["signalr_checks"]

_CLOCK_S: Final = 5.0
_CLOCK_TOO_MUCH_S: Final = 55.0  # our tokens begin a minute in the past
_NOBODY: Final = "nobody"

_ADDRESS: Final = "compare the connection string with the portal's; is the service reachable from here, and running?"
_KEY: Final = (
    "copy the connection string from the portal again (Keys), see that this machine's clock is right; with Entra ID "
    "give the identity the role SignalR REST API Owner or SignalR Service Owner"
)
_REPORT: Final = "unless that says why: this backend was built to another answer; please report it, with this line"


@asynccontextmanager
async def signalr_checks(settings: Settings, own: SignalRSettings, runtime: Runtime) -> AsyncIterator[Sequence[Check]]:
    """The checks of the service that the settings name.

    Raises:
        SettingsError, MissingExtraError: as the backend itself.
    """
    async with (
        Probe(own, clock=lambda: runtime.now_ms() / 1000) as probe,
        ClientChecks(probe, f"doctor-{runtime.new_id()}", settings.limits.max_event_bytes) as clients,
    ):
        yield [*_ServiceChecks(probe).all(), *clients.all()]


class _ServiceChecks:
    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._api = probe.api
        self._harmless = self._api.group_exists(f"{_NOBODY}-{secrets.token_hex(8)}")

    def all(self) -> list[Check]:
        known = ("credentials",)
        checks = [
            Check(name="connection string", look=self.connection_string),
            Check(name="service", look=self.service, advice=_ADDRESS),
            Check(name="clock", look=self.clock, advice="set this machine's clock by NTP", needs=("service",)),
            Check(name="credentials", look=self.accepted, advice=_KEY, needs=("service",)),
            Check(name="what is not there", look=self.absent, advice=_REPORT, needs=known),
            Check(name="a bad request", look=self.bad_request, advice=_REPORT, needs=known),
        ]
        if self._probe.keys:
            checks += [
                Check(name="a wrong key", look=self.wrong_key, advice=_REPORT, needs=known),
                Check(name="a token that is over", look=self.ended_token, advice=_REPORT, needs=known),
            ]
        if len(self._probe.keys) > 1:
            checks.append(Check(name="second key", look=self.second_key, advice=_KEY, needs=("service",)))
        return checks

    async def connection_string(self) -> str:
        service = self._probe.service
        places = dict.fromkeys((service.endpoint, service.server_endpoint, service.client_endpoint))
        return f"{type(service.credential).__name__} for {', '.join(places)}, hub `{self._api.hub}`"

    async def service(self) -> str:
        await self._probe.ask(self._api.health())  # the first one connects
        await self._probe.ask(self._api.health())
        return f"answers within {_ms(self._probe.times[-1])}"

    async def clock(self) -> str | Doubt:
        reply = await self._probe.reply(self._api.health())
        try:
            theirs = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
        except ValueError:
            return "the service does not say its own"
        ahead_s = self._probe.clock() - theirs - 0.5  # they have whole seconds
        text = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the service's"
        if abs(ahead_s) > _CLOCK_TOO_MUCH_S:
            raise UnavailableError(text)
        return text if abs(ahead_s) <= _CLOCK_S else Doubt(text, "set this machine's clock by NTP: tokens have times")

    async def accepted(self) -> str:
        await self._probe.ask(self._harmless)
        return "accepted"

    async def second_key(self) -> str:
        await self._refused_unless(self._probe.token_with(self._probe.keys[1], self._harmless))
        return "accepted"

    async def _refused_unless(self, token: str) -> None:
        reply = await self._probe.reply(self._harmless, token)
        if reply.status_code == 401:
            raise UnavailableError(f"refused ({_described(reply)})")

    async def absent(self) -> str:
        """What the backend takes for an answer rather than for a failure, because of its code."""
        exist: list[Request[Any]] = [
            self._api.connection_exists(_NOBODY),
            self._api.user_exists(f"{_NOBODY}-{secrets.token_hex(8)}"),
            self._harmless,
            self._api.close_connection(_NOBODY),
        ]
        for request in exist:
            if await self._probe.ask(request):
                raise UnavailableError(f"{request.operation.name}: there is one, although nobody has made it")
        join = self._api.add_connection("doctor", _NOBODY)
        try:
            await self._probe.ask(join)
        except ConnectionGoneError:
            exist.append(join)
        else:
            raise UnavailableError("join: a connection that nobody has was added")
        await self._probe.ask(self._api.remove_connection("doctor", _NOBODY))
        codes = [(await self._probe.reply(request)).headers.get("x-ms-error-code", "") for request in exist]
        return f"404 with {', '.join(dict.fromkeys(codes))}"

    async def bad_request(self) -> str:
        reply = await self._probe.reply(self._api.send_to_group("doctor", message("x")[:-1]))
        if reply.status_code not in (400, 413, 415, 422):
            raise UnavailableError(f"a body that is no JSON was answered with {_described(reply)}")
        return _described(reply)

    async def wrong_key(self) -> str:
        reply = await self._probe.reply(self._harmless, self._probe.wrong_token(self._harmless))
        if reply.status_code != 401:
            raise UnavailableError(
                f"it was answered with {_described(reply)}; a key that is replaced gives no 401 then"
            )
        return f"refused ({_described(reply)})"

    async def ended_token(self) -> str:
        """How patient the service is with clocks; it does not say so anywhere."""
        said = []
        for ended_s_ago in (5, 60, 400):
            token = self._probe.ended_token(self._probe.keys[0], self._harmless, ended_s_ago=ended_s_ago)
            is_refused = (await self._probe.reply(self._harmless, token)).status_code == 401
            said.append(f"{'refused' if is_refused else 'taken'} after {ended_s_ago} s")
        return ", ".join(said)


def _described(reply: Any) -> str:
    parts = [
        str(reply.status_code),
        *(reply.headers.get(name, "") for name in ("x-ms-error-code", "www-authenticate", "content-type")),
    ]
    return ", ".join(part[:200] for part in parts if part)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
