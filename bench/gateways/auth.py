"""The token that the load generator shows to our gateway."""

from __future__ import annotations

from streamsink.backends.gateway.delivery import GatewayDelivery
from streamsink.core.identity import User

SECRET = b"bench" * 8


def token(port: int) -> str:
    """Good for one user and this gateway."""
    delivery = GatewayDelivery([SECRET])
    return delivery.connect_info(User(subject="load"), f"http://127.0.0.1:{port}").access_token
