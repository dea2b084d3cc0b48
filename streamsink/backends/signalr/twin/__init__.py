"""A local Azure SignalR Service, for development and tests; see docs/twin.md.

::

    async with twin() as service:
        service.connection_string, service.url, service.faults, service.hub("chat")
"""

from streamsink.backends.signalr.twin.faults import Fault, Faults
from streamsink.backends.signalr.twin.service import Twin, twin

__all__ = ["Fault", "Faults", "Twin", "twin"]
