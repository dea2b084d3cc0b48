"""The app that exists, for workers in processes of their own; of the new class where `UPGRADED` is set."""

from __future__ import annotations

import os

from agent_framework_azurefunctions import AgentFunctionApp

from streamsink.hosts.functions import StreamFunctionApp
from tests.hosts.functions.existing import Noted, existing_app

app = existing_app(StreamFunctionApp if "UPGRADED" in os.environ else AgentFunctionApp, Noted())
