"""The example folders: what they name is known, and they work as they are, on the emulated platform."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from packaging.requirements import Requirement

from streamsink.backends.signalr.twin import twin
from streamsink.core.delivery import ConnectInfo
from streamsink.core.errors import SettingsError
from streamsink.core.settings import Settings
from streamsink.demo.chat_clients import configured_client
from streamsink.hosts.functions.startup import prepared
from streamsink.testing.signalr import SignalRClient, signalr_client
from tests.functions_platform import FunctionsPlatform, ProcessWorker
from tests.hosts.contract_checking import assert_error
from tests.hosts.support import NO_WAIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parents[3]
NEW: Final = ROOT / "examples" / "azure_functions"
UPGRADED: Final = ROOT / "examples" / "azure_functions_upgrade"
SECRET: Final = "s" * 64


def in_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def template() -> dict[str, str]:
    """The values of the folder's template, with a secret in them."""
    text = (NEW / "local.settings.template.json").read_text("utf-8")
    values: dict[str, str] = json.loads(text.replace("@SECRET@", SECRET))["Values"]
    return values


def test_the_template_is_what_the_app_can_start_with() -> None:
    """Its names are known, and its values are right."""
    settings = prepared(None, template())

    assert (settings.backend, settings.history) == ("signalr", "memory")


def test_a_template_without_a_secret_is_refused() -> None:
    """Nobody deploys with one that everybody knows."""
    with pytest.raises(SettingsError, match="STREAM_SECRET"):
        prepared(None, template() | {"STREAM_SECRET": "@SECRET@"})


def test_the_template_names_a_model_service_by_names_that_are_read() -> None:
    names = [name for name in template() if name.startswith("AZURE_OPENAI_")]
    assert configured_client(template()) is None

    client = configured_client(dict.fromkeys(names, "https://example.openai.azure.com"))

    assert client is not None
    assert len(names) == 3


def test_the_host_reads_settings_that_the_template_has() -> None:
    host, values = in_json(NEW / "host.json"), template()
    durable = host["extensions"]["durableTask"]

    assert durable["hubName"].strip("%") in values
    assert durable["storageProvider"]["connectionStringName"] in values
    assert "http" not in host["extensions"]  # the page's addresses are below the platform's own prefix


def test_the_platform_leaves_a_run_its_time() -> None:
    """Alone: the state of an entity is saved, and the time of a function counts, for a whole batch of operations."""
    host, times = in_json(NEW / "host.json"), Settings().times
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))

    assert host["extensions"]["durableTask"]["maxEntityOperationBatchSize"] == 1
    assert timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds() > times.run_timeout_s + 60


def test_the_requirements_are_those_of_the_package() -> None:
    lines = (NEW / "requirements.txt").read_text("utf-8").splitlines()
    ours, model = (Requirement(line) for line in lines if not line.startswith("#"))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

    assert ours.name == "streamsink"
    assert ours.extras <= extras.keys()
    assert model in [Requirement(line) for line in extras["demo"]]


def test_local_settings_are_not_deployed() -> None:
    patterns = (NEW / ".funcignore").read_text("utf-8").split()

    for name in ("local.settings.json", ".venv", ".git"):
        assert any(fnmatch(name, pattern) for pattern in patterns), name
    for name in ("function_app.py", "host.json", "requirements.txt"):
        assert not any(fnmatch(name, pattern) for pattern in patterns), name


def test_the_settings_of_the_deployment_steps_are_what_the_app_can_start_with() -> None:
    """On Azure, with an identity in place of keys."""
    page = (ROOT / "docs" / "functions.md").read_text("utf-8")
    (command,) = re.findall(r"appsettings set .*? --settings \\(.*?)```", page, re.DOTALL)
    pairs = re.findall(r'([A-Za-z_]+)=("[^"]*"|\S+)', command.replace("$(openssl rand -hex 32)", SECRET))
    environ = {name: value.strip('"').replace("$app", "travel") for name, value in pairs}

    settings = prepared(None, environ | {"WEBSITE_SITE_NAME": "travel"})

    assert (settings.backend, settings.history) == ("signalr", "redis")
    assert environ.keys() >= {"TASKHUB_NAME", "DURABLE_TASK_SCHEDULER_CONNECTION_STRING", "AZURE_OPENAI_ENDPOINT"}


@dataclass
class Browser:
    """What a page does: a cookie, a connection, and joins."""

    http: httpx.AsyncClient
    client: SignalRClient

    async def join(self, thread: str) -> httpx.Response:
        join = {"group": thread, "connectionId": self.client.connection_id, "after": ""}
        return await self.http.post("/api/agent/join-group", json=join)


@dataclass
class Deployed:
    platform: FunctionsPlatform
    stack: AsyncExitStack

    async def browser(self) -> Browser:
        http = httpx.AsyncClient(base_url=self.platform.url, timeout=20)
        await self.stack.enter_async_context(http)
        assert "<html" in (await http.get("/api/index")).text
        told = (await http.post("/api/agent/negotiate")).json()
        info = ConnectInfo(told["url"], told["accessToken"])
        return Browser(http, await self.stack.enter_async_context(signalr_client(info)))


@asynccontextmanager
async def deployed(folder: Path) -> AsyncIterator[Deployed]:
    """A folder with the template's settings; but the twin listens on a free port."""
    async with twin() as service, AsyncExitStack() as stack:
        environ = template() | {"AzureSignalRConnectionString": service.connection_string}
        worker = ProcessWorker(folder / "function_app.py", env=environ)
        yield Deployed(await stack.enter_async_context(FunctionsPlatform(worker)), stack)


@pytest.mark.service
async def test_a_page_asks_the_new_app_and_sees_the_answer() -> None:
    async with deployed(NEW) as site:
        browser = await site.browser()
        thread = (await browser.http.post("/api/agent/create-thread")).json()["thread_id"]
        assert (await browser.join(thread)).status_code == 200

        url = f"/api/agents/TravelPlanner/run?thread_id={thread}"
        accepted = await browser.http.post(url, json={"message": "Hello"}, headers=NO_WAIT)

        assert accepted.status_code == 202
        (done,) = await browser.client.until(target="agentDone", timeout_s=20)
        assert done.data["status"] == "completed"
        assert said(browser).startswith("Hello! I am the **TravelPlanner**.")


def said(browser: Browser) -> str:
    return "".join(event.data["text"] for event in browser.client.received if event.target == "agentMessage")


@pytest.mark.service
async def test_an_upgraded_apps_orchestration_streams_to_who_started_it() -> None:
    async with deployed(UPGRADED) as site:
        ann, bob = await site.browser(), await site.browser()

        started = await ann.http.post("/api/plan", content="Plan a day in Lisbon")

        assert started.status_code == 202
        thread = started.json()["thread_id"]
        assert (await ann.join(thread)).status_code == 200
        assert_error(await bob.join(thread), 403)
        status = await site.platform.ended(thread)
        assert status["runtimeStatus"] == "Completed"
        replay = (await ann.http.get(f"/api/agent/threads/{thread}/events")).json()
        runs = replay["snapshot"]["runs"]
        assert [(run["messages"][0]["text"], run["status"]) for run in runs] == [
            ("Plan a day in Lisbon", "completed"),
            ("Make it shorter", "completed"),
        ]
        assert runs[1]["items"][-1]["text"] == status["output"]


@pytest.mark.service
async def test_a_user_who_is_new_to_the_upgraded_app_may_start_it_too() -> None:
    """Their cookie comes with the answer of the app's own function."""
    async with deployed(UPGRADED) as site, httpx.AsyncClient(base_url=site.platform.url, timeout=20) as http:
        thread = (await http.post("/api/plan", content="Hello")).json()["thread_id"]

        assert (await http.get(f"/api/agent/threads/{thread}/events")).status_code == 200
        await site.platform.ended(thread)


@pytest.mark.service
async def test_an_upgraded_apps_agent_is_still_an_mcp_tool() -> None:
    async with deployed(UPGRADED) as site:
        answer = await site.platform.call_tool("TravelPlanner", query="Hello", sessionId="mcp-1")

        assert answer.startswith("Hello! I am the **TravelPlanner**.")
