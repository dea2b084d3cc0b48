"""How the redis backend is found and made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamsink.backends.redis.delivery import RedisDelivery
from streamsink.backends.redis.remote import RemoteDelivery
from streamsink.backends.redis.settings import RedisSettings
from streamsink.backends.redis.sink import RedisSink
from streamsink.backends.redis.timeline import RedisTimeline
from streamsink.core.delivery import ListsMembers, ServesClients, ServesSockets, Subscribes
from streamsink.core.errors import MissingExtraError, SettingsError
from streamsink.core.identity import User
from streamsink.core.measures import Measures
from streamsink.core.runtime import Runtime
from streamsink.core.variables import variables
from streamsink.opening import open_sink
from streamsink.plugins import BackendContext, backends, check_workers, create_plugin_manager, load_settings, timelines

SECRET = f"k1:{'s' * 48}"
ENVIRON = {"STREAM_BACKEND": "redis", "STREAM_SECRET": SECRET, "STREAM_REDIS_URL": "redis://127.0.0.1:1/3"}
URL = "https://gateway.test/x"


def context(**more: str) -> BackendContext:
    environ = {**ENVIRON, **more}
    settings = load_settings(environ, create_plugin_manager())
    return BackendContext(settings=settings, environ=environ, runtime=Runtime())


def test_it_is_offered_for_several_processes() -> None:
    spec = backends(create_plugin_manager())["redis"]

    assert not spec.one_process
    assert spec.abilities == {Measures, ServesClients, Subscribes}


async def test_a_sink_is_made_without_a_connection() -> None:
    async with open_sink(environ=ENVIRON) as sink:
        assert isinstance(sink, RedisSink)
        for ability in (ServesClients, ServesSockets, Subscribes):
            assert isinstance(sink.ability(ability), RedisDelivery)
        assert sink.ability(ListsMembers) is None  # a node knows its own connections only


async def test_a_worker_without_a_gateway_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.redis.plugin.find_spec", lambda name: None if name == "websockets" else 1)

    async with open_sink(environ=ENVIRON) as sink:
        assert sink.ability(ServesClients) is None
        assert isinstance(sink.ability(RemoteDelivery), RemoteDelivery)


async def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.redis.plugin.find_spec", lambda name: None)
    manager = create_plugin_manager()

    for spec in (backends(manager)["redis"], timelines(manager)["redis"]):
        with pytest.raises(MissingExtraError, match=r"streamsink\[redis\]"):
            spec.make(context())


async def test_the_timeline_is_offered_by_itself() -> None:
    timeline = timelines(create_plugin_manager())["redis"].make(context())

    assert isinstance(timeline, RedisTimeline)
    await timeline.aclose()


async def test_a_secret_is_needed() -> None:
    with pytest.raises(SettingsError, match="STREAM_SECRET"):
        open_sink(environ={**ENVIRON, "STREAM_SECRET": ""})


async def test_another_history_is_refused() -> None:
    with pytest.raises(SettingsError, match="STREAM_HISTORY"):
        open_sink(environ={**ENVIRON, "STREAM_HISTORY": "memory"})


async def test_clients_can_be_sent_elsewhere() -> None:
    async with open_sink(environ={**ENVIRON, "STREAM_GATEWAY_URL": f"{URL}/"}) as sink:
        info = await sink.connect_info(User(subject="ann"), "https://here.test")

        assert info.url.startswith(f"{URL}/client")


@pytest.mark.parametrize(
    "url", ["http://x", "redis://", "redis://h/x", "redis://h:port", "unix://", "rediss://h?ssl_ca_certs=/no/such/file"]
)
async def test_a_wrong_url_is_refused_and_not_shown(url: str) -> None:
    secret = "hunter2"
    with pytest.raises(SettingsError, match="STREAM_REDIS_URL") as caught:
        open_sink(
            environ={**ENVIRON, "STREAM_REDIS_URL": url.replace("://", f"://user:{secret}@") if url[-1] != "/" else url}
        )
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("STREAM_REDIS_PREFIX", "a b"), ("STREAM_STICKY_ROUTING", "maybe"), ("STREAM_GATEWAY_URL", "https://x/?y"),
     ("STREAM_REDIS_TIMEOUT_S", "0")],
)  # fmt: skip
async def test_wrong_settings_are_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        open_sink(environ={**ENVIRON, name: value})


def test_workers_that_share_a_port_cannot_be_sticky() -> None:
    """A client's requests come to any of them, whatever the balancer does."""
    manager = create_plugin_manager()
    settings = load_settings(ENVIRON, manager)
    check_workers(manager, settings, ENVIRON)

    with pytest.raises(SettingsError, match=r"STREAM_STICKY_ROUTING should be `no` with --workers"):
        check_workers(manager, settings, {**ENVIRON, "STREAM_STICKY_ROUTING": "yes"})


def test_the_table_in_the_docs_is_the_code() -> None:
    """Name, default and rule of every variable, word for word."""
    row = re.compile(r"^\| `(STREAM_\w+)` \| (.+?) \| (.+?) \| .+ \|$", re.MULTILINE)
    docs = Path(__file__).parents[3] / "docs" / "redis.md"
    written = {name: (default, rule) for name, default, rule in row.findall(docs.read_text("utf-8"))}

    assert written == {
        variable.name: ("not set" if default is None else f"`{default}`", variable.expected)
        for variable, default in variables(RedisSettings)
    }


async def test_settings_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(RedisSettings(url="redis://u:hunter2@h"))


async def test_the_memory_backend_can_keep_its_timelines_in_redis() -> None:
    environ = {"STREAM_BACKEND": "memory", "STREAM_HISTORY": "redis", "STREAM_REDIS_URL": "redis://127.0.0.1:1/3"}

    async with open_sink(environ=environ) as sink:
        assert isinstance(sink.ability(RedisTimeline), RedisTimeline)
