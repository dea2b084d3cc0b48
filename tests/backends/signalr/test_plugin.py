"""How the signalr backend is found and made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jwt
import pytest

from streamsink.backends.memory.timeline import MemoryTimeline
from streamsink.backends.redis.timeline import RedisTimeline
from streamsink.backends.signalr.delivery import SignalRDelivery
from streamsink.backends.signalr.settings import SignalRSettings
from streamsink.core.composed import ComposedSink
from streamsink.core.delivery import ListsMembers, ServesClients, Subscribes
from streamsink.core.errors import MissingExtraError, SettingsError
from streamsink.core.identity import User
from streamsink.core.measures import Measures
from streamsink.core.variables import read, variables
from streamsink.opening import open_sink
from streamsink.plugins import BackendContext, backends, create_plugin_manager, load_settings, timelines

from .support import CONNECTION_STRING, HOST, KEY, OTHER_KEY

SECRET = f"k1:{'s' * 48}"
BARE = {"STREAM_BACKEND": "signalr", "STREAM_SECRET": SECRET}
ENVIRON = {**BARE, "STREAM_SIGNALR_CONNECTION_STRING": CONNECTION_STRING}
SECOND = "STREAM_SIGNALR_SECOND_CONNECTION_STRING"


async def url_and_claims(environ: dict[str, str]) -> tuple[str, dict[str, Any]]:
    async with open_sink(environ=environ) as sink:
        info = await sink.connect_info(User(subject="ann"), "https://here.test")
    return info.url, jwt.decode(info.access_token, options={"verify_signature": False})


def test_it_is_offered_for_several_processes() -> None:
    spec = backends(create_plugin_manager())["signalr"]

    assert not spec.one_process
    assert spec.abilities == {ListsMembers, Measures}


async def test_a_sink_is_made_without_a_connection() -> None:
    async with open_sink(environ=ENVIRON) as sink:
        assert isinstance(sink, ComposedSink)
        assert isinstance(sink.ability(ListsMembers), SignalRDelivery)
        assert sink.ability(Measures) is sink
        assert sink.ability(ServesClients) is None
        assert sink.ability(Subscribes) is None
        assert isinstance(sink.ability(MemoryTimeline), MemoryTimeline)
        assert sink.options.window_s == 0.11


async def test_the_timeline_is_where_the_settings_say() -> None:
    async with open_sink(environ={**ENVIRON, "STREAM_HISTORY": "redis"}) as sink:
        assert isinstance(sink.ability(RedisTimeline), RedisTimeline)


async def test_the_window_is_a_setting() -> None:
    async with open_sink(environ={**ENVIRON, "STREAM_WINDOW_MS": "500", "STREAM_BUDGET_PER_S": "5"}) as sink:
        assert sink.options.window_s == 0.5
        sink.options.pacer.spend(10.0)
        assert sink.options.pacer.next_at() == 10.2
        sink.options.pacer.saved(3)
        measures = sink.ability(Measures)
        assert measures is not None
        assert measures.measure()["saved"] == 3


async def test_the_samples_names_work_as_they_are() -> None:
    environ = {**BARE, "AzureSignalRConnectionString": CONNECTION_STRING, "SIGNALR_HUB_NAME": "Travel"}

    url, claims = await url_and_claims(environ)

    assert url == claims["aud"] == f"{HOST}/client/?hub=travel"


async def test_our_names_go_first_and_there_is_a_hub_without_any() -> None:
    theirs = {"AzureSignalRConnectionString": f"Endpoint=https://old.test;AccessKey={KEY}", "SIGNALR_HUB_NAME": "old"}

    assert (await url_and_claims({**ENVIRON, **theirs, "STREAM_SIGNALR_HUB": "new"}))[0] == f"{HOST}/client/?hub=new"
    assert (await url_and_claims(ENVIRON))[0] == f"{HOST}/client/?hub=streamsink"


async def test_tokens_last_as_long_as_is_set() -> None:
    _, claims = await url_and_claims({**ENVIRON, "STREAM_TOKEN_LIFETIME_S": "120"})

    assert claims["exp"] - claims["iat"] == 120


async def test_a_second_key_belongs_to_the_same_service() -> None:
    await url_and_claims({**ENVIRON, SECOND: f"Endpoint={HOST};AccessKey={OTHER_KEY}"})
    for wrong in (f"Endpoint=https://y.test;AccessKey={OTHER_KEY}", f"Endpoint={HOST};AuthType=azure.msi"):
        with pytest.raises(SettingsError, match=SECOND):
            open_sink(environ={**ENVIRON, SECOND: wrong})
    entra = {"STREAM_SIGNALR_CONNECTION_STRING": f"Endpoint={HOST};AuthType=azure.msi"}
    with pytest.raises(SettingsError, match=SECOND):
        open_sink(environ={**ENVIRON, **entra, SECOND: CONNECTION_STRING})


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"STREAM_SIGNALR_CONNECTION_STRING": ""}, "STREAM_SIGNALR_CONNECTION_STRING"),
        ({"STREAM_SIGNALR_CONNECTION_STRING": f"AccessKey={KEY}"}, "STREAM_SIGNALR_CONNECTION_STRING"),
        ({"AzureSignalRConnectionString": f"AccessKey={KEY}"}, "AzureSignalRConnectionString"),
        ({"STREAM_SIGNALR_HUB": "1x"}, "STREAM_SIGNALR_HUB"),
        ({"SIGNALR_HUB_NAME": "a-b"}, "SIGNALR_HUB_NAME"),
        ({"STREAM_SIGNALR_TIMEOUT_S": "0"}, "STREAM_SIGNALR_TIMEOUT_S"),
        ({"STREAM_SIGNALR_RETRIES": "11"}, "STREAM_SIGNALR_RETRIES"),
        ({"STREAM_SIGNALR_HUBS": "x"}, "STREAM_SIGNALR_HUB, perhaps"),
        ({"STREAM_MAX_EVENT_BYTES": "1048576"}, "STREAM_MAX_EVENT_BYTES"),
        ({"STREAM_HISTORY": "nowhere"}, "STREAM_HISTORY"),
        ({"STREAM_SECRET": ""}, "STREAM_SECRET"),
    ],
)
async def test_wrong_settings_are_named_and_show_no_key(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        open_sink(environ={**ENVIRON, **environ})

    assert KEY[:16] not in str(caught.value)


async def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsink.backends.signalr.plugin.find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"streamsink\[signalr\]"):
        open_sink(environ=ENVIRON)


def test_settings_do_not_show_a_key() -> None:
    manager = create_plugin_manager()
    spec = backends(manager)["signalr"]
    context = BackendContext(settings=load_settings(ENVIRON, manager), environ=ENVIRON, timelines=timelines(manager))

    assert spec.settings is SignalRSettings
    assert KEY[:16] not in repr(read(spec.settings, ENVIRON)) + repr(context.settings)


def test_the_table_in_the_docs_is_the_code() -> None:
    """Name, default and rule of every variable, word for word."""
    row = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| .+ \|$", re.MULTILINE)
    docs = Path(__file__).parents[3] / "docs" / "signalr.md"
    written = {name: (default, rule) for name, default, rule in row.findall(docs.read_text("utf-8"))}

    assert written == {
        variable.name: ("not set" if default is None else f"`{default}`", variable.expected)
        for variable, default in variables(SignalRSettings)
    }
