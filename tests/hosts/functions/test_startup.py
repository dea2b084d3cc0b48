"""What is refused when the app is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from streamsink.core.errors import BackendError, SettingsError
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Settings
from streamsink.hosts.functions import StreamFunctionApp
from streamsink.hosts.functions.startup import may_have_several_workers, prepared
from tests.hosts.support import make_agent

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTION = "Endpoint=https://example.service.signalr.net;AccessKey=" + "k" * 44 + ";Version=1.0;"
SIGNALR = {"AzureSignalRConnectionString": CONNECTION, "STREAM_SECRET": "s" * 40, "STREAM_BACKEND": "signalr"}
REDIS = {"STREAM_REDIS_URL": "redis://localhost", "STREAM_SECRET": "s" * 40, "STREAM_BACKEND": "redis"}
AZURE = {"WEBSITE_INSTANCE_ID": "0"}


def without(environ: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        pytest.param(
            {"AzureSignalRConnectionString": CONNECTION, "SIGNALR_HUB_NAME": "chat", "TASKHUB_NAME": "default"},
            ("STREAM_BACKEND", "`signalr`", "AzureSignalRConnectionString is set"),
            id="the sample's settings, untouched",
        ),
        pytest.param({}, ("STREAM_BACKEND", "`signalr`", "`redis`", "gateway"), id="nothing"),
        pytest.param({"STREAM_BACKEND": "memory"}, ("STREAM_BACKEND", "memory"), id="memory"),
        pytest.param(
            {"AzureSignalRConnectionString": CONNECTION, "STREAM_REDIS_URL": "redis://localhost"},
            ("`redis` or `signalr`", "STREAM_REDIS_URL is set and AzureSignalRConnectionString is set"),
            id="either",
        ),
        pytest.param(without(SIGNALR, "STREAM_SECRET"), ("STREAM_SECRET",), id="no secret"),
        pytest.param({**SIGNALR, "STREAM_TYPO": "x"}, ("STREAM_TYPO",), id="unknown"),
        pytest.param({**SIGNALR, "AzureSignalRConnectionString": "x"}, ("AzureSignalRConnectionString",), id="wrong"),
        pytest.param(
            without(SIGNALR, "AzureSignalRConnectionString"), ("STREAM_SIGNALR_CONNECTION_STRING",), id="no service"
        ),
        pytest.param(
            {**SIGNALR, "STREAM_SIGNALR_SECOND_CONNECTION_STRING": CONNECTION.replace("example", "other")},
            ("STREAM_SIGNALR_SECOND_CONNECTION_STRING",),
            id="keys of two services",
        ),
        pytest.param(REDIS, ("STREAM_GATEWAY_URL", "streamsink gateway"), id="redis without gateway"),
        pytest.param({**SIGNALR, **AZURE}, ("STREAM_HISTORY", "`redis`", "`none`"), id="memory on Azure"),
        pytest.param(
            {**SIGNALR, "FUNCTIONS_WORKER_PROCESS_COUNT": "4"}, ("STREAM_HISTORY",), id="memory with several workers"
        ),
    ],
)
def test_what_cannot_work_is_refused(environ: Mapping[str, str], words: tuple[str, ...]) -> None:
    """At import of the app, with what to do; and without the value of a secret."""
    with patch.dict(os.environ, environ, clear=True), pytest.raises(SettingsError) as raised:
        StreamFunctionApp([make_agent()])

    for word in words:
        assert word in str(raised.value)
    assert "k" * 44 not in str(raised.value)


@pytest.mark.parametrize(
    "environ",
    [
        SIGNALR,
        {**SIGNALR, "FUNCTIONS_WORKER_PROCESS_COUNT": "1"},
        {**SIGNALR, **AZURE, "STREAM_HISTORY": "none"},
        {**SIGNALR, **AZURE, "STREAM_HISTORY": "redis", "STREAM_REDIS_URL": "redis://localhost"},
        {**REDIS, **AZURE, "STREAM_GATEWAY_URL": "https://gateway.example.com"},
    ],
)
def test_what_can_work_is_not(environ: Mapping[str, str]) -> None:
    assert prepared(None, environ).backend == environ["STREAM_BACKEND"]


def test_settings_of_ones_own_are_looked_at_too() -> None:
    ring = SecretRing({"0": "s" * 40})

    assert prepared(Settings(backend="signalr", secret=ring), SIGNALR).secret is ring
    with pytest.raises(SettingsError):
        prepared(Settings(secret=ring), {})
    with pytest.raises(BackendError):
        prepared(Settings(backend="pigeon", secret=ring), {})


@pytest.mark.parametrize(
    ("environ", "several"),
    [
        ({}, False),
        ({"FUNCTIONS_WORKER_PROCESS_COUNT": ""}, False),
        ({"FUNCTIONS_WORKER_PROCESS_COUNT": "2"}, True),
        ({"WEBSITE_SITE_NAME": "app"}, True),
        ({"WEBSITE_INSTANCE_ID": ""}, False),
    ],
)
def test_the_platform_says_whether_there_may_be_several_workers(environ: Mapping[str, str], several: bool) -> None:
    assert may_have_several_workers(environ) is several
