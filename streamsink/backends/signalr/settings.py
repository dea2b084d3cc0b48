"""Which Azure SignalR Service, and how patient to be with it."""

# No postponed annotations here: they are read at run time.
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Final

from streamsink.backends.signalr.connection_string import AccessKey, ConnectionString
from streamsink.backends.signalr.identity_settings import SERVICE_URI, IdentityConnection
from streamsink.backends.signalr.rest import HUB_NAME
from streamsink.core.errors import SettingsError
from streamsink.core.variables import Range, Variable, number, whole

__all__ = ["CONNECTION_STRING", "SignalRSettings"]

CONNECTION_STRING: Final = "STREAM_SIGNALR_CONNECTION_STRING"
TIMEOUT_S: Final = Range(1, 60)
RETRIES: Final = Range(0, 10)

_SECOND: Final = "STREAM_SIGNALR_SECOND_CONNECTION_STRING"
# The names that the original sample and the Functions bindings use.
_BINDINGS_CONNECTION_STRING: Final = "AzureSignalRConnectionString"
_SAMPLE_HUB: Final = "SIGNALR_HUB_NAME"

_DEFAULT_HUB: Final = "streamsink"
_HUB_EXPECTED: Final = "a letter and up to 127 letters, digits and `_,.[]`"
_EXPECTED: Final = "a connection string, as the portal shows it"


def _hub(text: str) -> str:
    if not HUB_NAME.fullmatch(text):
        raise ValueError("not a hub name")
    return text


def _connection_string(name: str) -> Variable:
    return Variable(name, _EXPECTED, partial(ConnectionString.parse, variable=name))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRSettings:
    """Args:
    connection_string: of the service.
    bindings_connection_string: the same, under the name that Functions bindings use; the other goes first.
    bindings_identity: the service, and who calls it, as Functions bindings have it without a connection string; last.
    second_connection_string: with the service's other key, which is used when the first is refused.
    hub: the hub's name.
    sample_hub: the same, under the original sample's name; the other goes first.
    timeout_s: of one request.
    retries: of a request, before it counts as failed.

    Raises:
        SettingsError: as ``access_keys``.
    """

    connection_string: Annotated[ConnectionString | None, _connection_string(CONNECTION_STRING)] = None
    bindings_connection_string: Annotated[ConnectionString | None, _connection_string(_BINDINGS_CONNECTION_STRING)] = (
        None
    )
    bindings_identity: IdentityConnection = field(default_factory=IdentityConnection)
    second_connection_string: Annotated[ConnectionString | None, _connection_string(_SECOND)] = None
    hub: Annotated[str | None, Variable("STREAM_SIGNALR_HUB", _HUB_EXPECTED, _hub)] = None
    sample_hub: Annotated[str | None, Variable(_SAMPLE_HUB, _HUB_EXPECTED, _hub)] = None
    timeout_s: Annotated[float, number("STREAM_SIGNALR_TIMEOUT_S", TIMEOUT_S)] = 5
    retries: Annotated[int, whole("STREAM_SIGNALR_RETRIES", RETRIES)] = 2

    def __post_init__(self) -> None:
        _ = self.access_keys  # told when the settings are read, and not at a user's first message

    @property
    def service(self) -> ConnectionString:
        """The service.

        Raises:
            SettingsError: none is named, or the parts of its identity do not go together.
        """
        found = self.connection_string or self.bindings_connection_string or self.bindings_identity.connection
        if found is None:
            raise SettingsError(CONNECTION_STRING, "the connection string of your Azure SignalR Service")
        return found

    @property
    def access_keys(self) -> tuple[bytes, ...]:
        """The service's keys, the first of which signs; none where an identity calls.

        Raises:
            SettingsError: as ``service``; or the second connection string is not of the same service.
        """
        first, second = self.service, self.second_connection_string
        if not isinstance(first.credential, AccessKey):
            if second is not None:
                raise SettingsError(_SECOND, "unset without an AccessKey in the first")
            return ()
        if second is None:
            return (first.credential.value,)
        if second.endpoint != first.endpoint or not isinstance(second.credential, AccessKey):
            raise SettingsError(_SECOND, "the connection string of the same Endpoint with its other AccessKey")
        return (first.credential.value, second.credential.value)

    @property
    def variable(self) -> str:
        """Where ``service`` comes from."""
        if self.connection_string is not None:
            return CONNECTION_STRING
        return _BINDINGS_CONNECTION_STRING if self.bindings_connection_string is not None else SERVICE_URI

    @property
    def hub_name(self) -> str:
        """The hub's name."""
        return self.hub or self.sample_hub or _DEFAULT_HUB
