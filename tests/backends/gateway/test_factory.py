"""A gateway as the settings describe it: who may connect from where, and what signs."""

from __future__ import annotations

import pytest

from streamsink.backends.gateway.factory import gateway_delivery
from streamsink.core.errors import SettingsError
from streamsink.core.identity import User
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.testing.serving import serving
from streamsink.testing.signalr import signalr_client

RING = SecretRing({"a": "0123456789abcdef0123456789abcdef"})


def test_without_a_secret_there_is_no_gateway() -> None:
    with pytest.raises(SettingsError, match="STREAM_SECRET"):
        gateway_delivery(Settings())


@pytest.mark.service
@pytest.mark.parametrize("names_itself", [True, False])
async def test_clients_connect_under_the_public_url_or_the_one_they_asked(names_itself: bool) -> None:
    """A proxy in front keeps the public host name in the token; without one, the request's own host counts."""
    public_url = "https://chat.example.com" if names_itself else None
    delivery = gateway_delivery(Settings(secret=RING, public_url=public_url))
    async with serving(delivery.client_app) as url:
        info = await delivery.connect_info(User(subject="ann"), public_url or url)
        assert info.url.startswith(public_url or url)
        here = type(info)(info.url.replace(public_url or url, url), info.access_token)
        async with signalr_client(here) as client:
            await delivery.join("t", client.connection_id, user_id=User(subject="ann").id)

            assert await delivery.members("t") == [client.connection_id]
        await delivery.aclose()


@pytest.mark.parametrize(
    ("origin", "public_url", "allowed"),
    [
        ("http://here.example", None, True),
        ("https://here.example", None, True),
        ("https://elsewhere.example", None, False),
        ("https://app.example.com", None, True),
        ("https://chat.example.com", "https://chat.example.com/agents", True),
        ("https://here.example", "https://chat.example.com", False),
        ("null", None, False),
    ],
)
def test_pages_of_this_site_and_of_named_others_may_connect(origin: str, public_url: str | None, allowed: bool) -> None:
    settings = Settings(secret=RING, public_url=public_url, allowed_origins=("https://app.example.com",))
    delivery = gateway_delivery(settings)

    admission = delivery.client_app._admission

    assert admission._allow_origin(origin, {"host": "here.example"}) is allowed
