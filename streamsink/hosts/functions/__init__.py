"""The Azure Functions host: an ``AgentFunctionApp`` whose agents are streamed.

::

    from streamsink.hosts.functions import StreamFunctionApp

    app = StreamFunctionApp(agents=[agent])
"""

from __future__ import annotations

from importlib.util import find_spec

from streamsink.core.errors import MissingExtraError

__all__ = ["StreamFunctionApp"]

if find_spec("agent_framework_azurefunctions") is None:
    raise MissingExtraError("the Azure Functions host", "functions")

from streamsink.hosts.functions.app import StreamFunctionApp
