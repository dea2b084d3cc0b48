"""A small SignalR client for tests."""

from __future__ import annotations

from streamsink.backends.gateway.client import Received, SignalRClient, signalr_client

__all__ = ["Received", "SignalRClient", "signalr_client"]
