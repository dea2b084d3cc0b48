"""Choosing a model from the environment, and talking to one over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from azure.core.credentials import AccessToken
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamsink.demo.chat_clients import configured_client
from streamsink.demo.errors import DemoSetupError
from streamsink.demo.travel_planner import create_agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

OPENAI = {"OPENAI_API_KEY": "secret-key", "OPENAI_CHAT_MODEL": "small-model"}
AZURE = {
    "AZURE_OPENAI_ENDPOINT": "https://example.openai.azure.com",
    "AZURE_OPENAI_API_KEY": "secret-key",
    "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME": "my-deployment",
}
KEYLESS = {name: value for name, value in AZURE.items() if name != "AZURE_OPENAI_API_KEY"}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if "OPENAI" in name:
            monkeypatch.delenv(name)


class CompletionsServer:
    """A small model service that speaks Chat Completions, as OpenAI and Azure OpenAI stream it.

    It asks for the weather first, and answers with what the tool said, word by word.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CompletionsServer]:
        """Serve on a free loopback port; connections made before uvicorn is up wait in the socket's queue."""
        app = Starlette(routes=[Route("/{path:path}", self._complete, methods=["POST"])])
        config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None)
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            yield self
            server.should_exit = True
            await serving

    async def _complete(self, request: Request) -> StreamingResponse:
        body = await request.json()
        self.requests.append((str(request.url), dict(request.headers), body))
        return StreamingResponse(self._events(body), media_type="text/event-stream")

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[str]:
        for chunk in self._chunks(body["messages"][-1]):
            yield f"data: {json.dumps(self._envelope(**chunk))}\n\n"
        yield "data: [DONE]\n\n"

    def _chunks(self, last: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if last["role"] == "tool":
            for word in str(last["content"]).split(" "):
                yield {"delta": {"role": "assistant", "content": f"{word} "}}
            yield {"finish_reason": "stop"}
        else:
            call = {"id": "call_1", "type": "function"}
            yield _call_delta(call, name="get_weather_forecast", arguments="")
            # As real services do, later fragments say neither id nor name, only the index.
            yield _call_delta({}, arguments='{"destination": "Lis')
            yield _call_delta({}, arguments='bon", "date": "2026-05-12"}')
            yield {"finish_reason": "tool_calls"}
        yield {"usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}

    def _envelope(
        self,
        delta: dict[str, Any] | None = None,
        finish_reason: str | None = None,
        usage: dict[str, int] | None = None,
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
        return {
            "id": f"completion-{len(self.requests)}",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "small-model",
            "choices": [] if usage else [choice],
            "usage": usage,
        }


def _call_delta(call: dict[str, Any], **function: str) -> dict[str, Any]:
    return {"delta": {"tool_calls": [{"index": 0, **call, "function": function}]}}


@pytest.fixture
async def server() -> AsyncIterator[CompletionsServer]:
    async with CompletionsServer().running() as server:
        yield server


async def ask(environ: dict[str, str]) -> tuple[list[str], str]:
    """Return the kinds of content that a streamed run brings, and its text."""
    client = configured_client(environ)
    assert client is not None
    agent = create_agent(client)
    try:
        updates = [update async for update in agent.run("Weather in Lisbon?", stream=True)]
    finally:
        await client.client.close()
    kinds = dict.fromkeys(content.type for update in updates for content in update.contents)
    return list(kinds), "".join(update.text for update in updates)


@pytest.mark.service
async def test_a_compatible_service_streams_text_and_tool_calls(server: CompletionsServer) -> None:
    kinds, text = await ask({**OPENAI, "OPENAI_BASE_URL": f"{server.url}/v1"})

    assert kinds == ["function_call", "usage", "function_result", "text"]
    assert text.startswith("Lisbon on 2026-05-12: ")
    url, headers, body = server.requests[0]
    assert url == f"{server.url}/v1/chat/completions"
    assert headers["authorization"] == "Bearer secret-key"
    assert (body["model"], body["stream"]) == ("small-model", True)
    assert [tool["function"]["name"] for tool in body["tools"]] == [
        "get_weather_forecast",
        "get_local_events",
        "book_trip",
    ]


@pytest.mark.service
async def test_azure_openai_streams_text_and_tool_calls(server: CompletionsServer) -> None:
    kinds, text = await ask({**AZURE, "AZURE_OPENAI_ENDPOINT": server.url})

    assert kinds == ["function_call", "usage", "function_result", "text"]
    assert text.startswith("Lisbon on 2026-05-12: ")
    url, headers, _ = server.requests[0]
    assert url.startswith(f"{server.url}/openai/deployments/my-deployment/chat/completions?api-version=")
    assert headers["api-key"] == "secret-key"
    assert "authorization" not in headers


class Person:
    """Somebody who is logged in, as azure-identity sees them."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(f"token for {scopes[0]}", 2**40)


@pytest.mark.service
async def test_azure_openai_without_a_key_asks_for_who_is_logged_in(
    server: CompletionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Person)

    kinds, _ = await ask({**KEYLESS, "AZURE_OPENAI_ENDPOINT": server.url})

    assert "text" in kinds
    _, headers, _ = server.requests[0]
    assert headers["authorization"] == "Bearer token for https://cognitiveservices.azure.com/.default"
    assert "api-key" not in headers


def test_without_a_key_one_more_package_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)

    with pytest.raises(DemoSetupError, match=r"AZURE_OPENAI_API_KEY.*streamsink\[entra\]"):
        configured_client(KEYLESS)


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "", "AZURE_OPENAI_ENDPOINT": ""}, {"HOME": "/"}])
def test_without_a_model_service_there_is_no_client(environ: dict[str, str]) -> None:
    assert configured_client(environ) is None


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        (OPENAI, "small-model"),
        ({**OPENAI, "OPENAI_CHAT_COMPLETION_MODEL": "best"}, "best"),
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "plain"}, "plain"),
        (AZURE, "my-deployment"),
        ({**AZURE, "AZURE_OPENAI_CHAT_MODEL": "newer-name"}, "newer-name"),
        ({**KEYLESS, "AZURE_OPENAI_DEPLOYMENT": "short-name", "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME": ""}, "short-name"),
        ({**AZURE, "OPENAI_CHAT_MODEL": "ignored without a key"}, "my-deployment"),
        (AZURE | OPENAI, "small-model"),
    ],
)
def test_the_model_comes_from_the_environment(environ: dict[str, str], model: str) -> None:
    client = configured_client(environ)

    assert client is not None
    assert client.model == model


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OPENAI.items():
        monkeypatch.setenv(name, value)

    client = configured_client()

    assert client is not None
    assert client.model == "small-model"


def test_a_given_environment_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid/v1")

    client = configured_client(OPENAI)

    assert client is not None
    assert str(client.client.base_url) == "https://api.openai.com/v1/"


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"OPENAI_API_KEY": "k"}, "OPENAI_CHAT_MODEL"),
        ({"OPENAI_BASE_URL": "http://localhost:1/v1"}, "OPENAI_API_KEY"),
        ({"OPENAI_MODEL": "m"}, "OPENAI_API_KEY"),
        ({"AZURE_OPENAI_API_KEY": "k"}, "AZURE_OPENAI_ENDPOINT"),
        ({**AZURE, "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME": ""}, "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME"),
    ],
)
def test_half_a_configuration_names_what_is_missing(environ: dict[str, str], missing: str) -> None:
    with pytest.raises(DemoSetupError, match=missing):
        configured_client(environ)


@pytest.mark.parametrize("environ", [OPENAI, AZURE])
def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    monkeypatch.setitem(sys.modules, "agent_framework.openai", None)

    with pytest.raises(DemoSetupError, match=r"pip install 'streamsink\[demo\]'"):
        configured_client(environ)
