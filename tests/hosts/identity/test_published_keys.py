"""Published keys: fetched when needed, not when asked for at will."""

from __future__ import annotations

import asyncio
import threading

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from streamsink.core.errors import MissingExtraError, UnauthenticatedError, UnavailableError
from streamsink.hosts.identity import published_keys
from streamsink.hosts.identity.published_keys import PublishedKeys

URL = "https://login.example.com/keys"
JWK = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def published(kid: str) -> jwt.PyJWK:
    return jwt.PyJWK({**JWK, "kid": kid})


class Provider:
    """Publishes keys, counts how often it is asked, and fails when told to."""

    def __init__(self, *kids: str) -> None:
        self.kids = list(kids)
        self.asked = 0
        self.failure: Exception | None = None

    def fetch(self) -> list[jwt.PyJWK]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return [published(kid) for kid in self.kids]


def keys(provider: Provider, clock: Clock) -> PublishedKeys:
    return PublishedKeys(URL, clock, fetch=provider.fetch)


async def test_a_key_is_fetched_once_and_remembered() -> None:
    provider = Provider("a", "b")
    known = keys(provider, Clock())

    found = [await known.find(kid) for kid in ("a", "b", "a")]

    assert [key.key_id for key in found] == ["a", "b", "a"]
    assert provider.asked == 1


async def test_callers_who_come_at_once_share_a_fetch() -> None:
    provider = Provider("a")
    known = keys(provider, Clock())

    await asyncio.gather(*(known.find("a") for _ in range(20)))

    assert provider.asked == 1


async def test_keys_are_fetched_again_after_five_minutes() -> None:
    clock, provider = Clock(), Provider("a")
    known = keys(provider, clock)
    await known.find("a")

    clock.now += 300
    provider.kids = ["b"]

    with pytest.raises(UnauthenticatedError):
        await known.find("a")
    assert provider.asked == 2


async def test_made_up_key_ids_do_not_make_it_fetch() -> None:
    clock, provider = Clock(), Provider("a")
    known = keys(provider, clock)

    for number in range(20):
        with pytest.raises(UnauthenticatedError, match="not published"):
            await known.find(f"made up {number}")

    assert provider.asked == 1


async def test_a_new_key_is_found_within_half_a_minute() -> None:
    clock, provider = Clock(), Provider("a")
    known = keys(provider, clock)
    await known.find("a")
    provider.kids.append("b")

    clock.now += 30

    assert (await known.find("b")).key_id == "b"


@pytest.mark.parametrize(
    "failure",
    [jwt.PyJWKClientConnectionError("no"), jwt.PyJWKSetError("no"), OSError("no"), ValueError("no JSON")],
)
async def test_a_provider_that_fails_is_unavailable_and_asked_again_after_five_seconds(
    failure: Exception,
) -> None:
    clock, provider = Clock(), Provider("a")
    provider.failure = failure
    known = keys(provider, clock)

    for _ in range(3):
        with pytest.raises(UnavailableError, match="cannot be fetched"):
            await known.find("a")
    assert provider.asked == 1

    clock.now += 5
    provider.failure = None
    assert (await known.find("a")).key_id == "a"


async def test_known_keys_stay_good_while_the_provider_is_down() -> None:
    clock, provider = Clock(), Provider("a")
    known = keys(provider, clock)
    await known.find("a")
    provider.failure = OSError("down")

    clock.now += 30
    with pytest.raises(UnavailableError):
        await known.find("b")

    assert (await known.find("a")).key_id == "a"


async def test_a_slow_provider_delays_nobody_longer_than_the_bound() -> None:
    answer = threading.Event()

    def fetch() -> list[jwt.PyJWK]:
        answer.wait()
        return [published("a")]

    known = PublishedKeys(URL, Clock(), timeout_s=0.01, fetch=fetch)
    try:
        with pytest.raises(UnavailableError, match="slow"):
            await known.find("a")
    finally:
        answer.set()


async def test_what_is_wrong_in_our_own_code_is_not_hidden() -> None:
    def fetch() -> list[jwt.PyJWK]:
        raise LookupError("a mistake")

    with pytest.raises(LookupError):
        await PublishedKeys(URL, Clock(), fetch=fetch).find("a")


async def test_by_default_the_url_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch_data(client: jwt.PyJWKClient) -> object:
        asked.append(client.uri)
        raise jwt.PyJWKClientConnectionError("offline")

    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch_data)

    with pytest.raises(UnavailableError):
        await PublishedKeys(URL, Clock()).find("a")
    assert asked == [URL]


def test_without_cryptography_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_keys, "has_crypto", False)

    with pytest.raises(MissingExtraError, match=r"pip install 'streamsink\[jwks\]'"):
        PublishedKeys(URL, Clock())
