"""A Valkey for development."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.core.errors import SettingsError
from streamsink.demo.valkey import development_valkey
from streamsink.opening import open_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.service


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    environ: dict[str, str] = {}
    with development_valkey(environ):
        yield environ


async def test_the_environment_names_a_server(environ: dict[str, str]) -> None:
    async with open_sink(environ=environ) as sink:
        await sink.check()
        assert (await sink.publish("t", ["Hello"])).status == "completed"

    assert environ["STREAM_BACKEND"] == "redis"
    assert environ["STREAM_REDIS_URL"].startswith("redis://127.0.0.1:")


def test_a_secret_that_is_there_stays() -> None:
    environ = {"STREAM_SECRET": "s" * 32}
    with development_valkey(environ):
        assert environ["STREAM_SECRET"] == "s" * 32


@pytest.mark.parametrize(("name", "value"), [("STREAM_REDIS_URL", "redis://h"), ("STREAM_BACKEND", "memory")])
def test_another_server_or_backend_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name), development_valkey({name: value}):
        pass
