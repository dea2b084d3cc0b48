"""Chooses the model that the demo talks to, from environment variables."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from streamsink.demo.errors import DemoSetupError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent_framework.openai import OpenAIChatCompletionClient

__all__ = ["configured_client"]

# The best first. The framework's Chat Completions client reads the ..._COMPLETION_MODEL and the plain one
# itself, its other client the ..._CHAT_MODEL; a deployment name is what older samples set.
_OPENAI_MODEL = ("OPENAI_CHAT_COMPLETION_MODEL", "OPENAI_CHAT_MODEL", "OPENAI_MODEL")
_AZURE_MODEL = (
    "AZURE_OPENAI_CHAT_COMPLETION_MODEL",
    "AZURE_OPENAI_CHAT_MODEL",
    "AZURE_OPENAI_MODEL",
    "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME",
    "AZURE_OPENAI_DEPLOYMENT_NAME",
    "AZURE_OPENAI_DEPLOYMENT",
)
_OPENAI = ("OPENAI_API_KEY", "OPENAI_BASE_URL", *_OPENAI_MODEL)
_AZURE = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", *_AZURE_MODEL)

_OPENAI_URL = "https://api.openai.com/v1"
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"


def configured_client(environ: Mapping[str, str] | None = None) -> OpenAIChatCompletionClient | None:
    """Return the Chat Completions client that `environ` (default: the process environment) describes.

    `None` when it names no model service. With `OPENAI_API_KEY` it is OpenAI, or whatever compatible service
    `OPENAI_BASE_URL` names, as in the framework; otherwise `AZURE_OPENAI_*` decides, with Microsoft Entra ID where
    there is no key. An empty variable counts as not set.

    Raises: `DemoSetupError` when a service is named by halves, or its package is not installed.
    """
    settings = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    if "OPENAI_API_KEY" not in settings and _any_of(_AZURE, settings):
        return _azure(settings)
    if _any_of(_OPENAI, settings):
        return _openai(settings)
    return None


def _openai(settings: Mapping[str, str]) -> OpenAIChatCompletionClient:
    api_key = _required(settings, ("OPENAI_API_KEY",), _OPENAI)
    model = _required(settings, _OPENAI_MODEL, _OPENAI)
    return _client_type()(
        model,
        api_key=api_key,
        # Always given, because the client would otherwise look for it in the process environment.
        base_url=settings.get("OPENAI_BASE_URL", _OPENAI_URL),
        org_id=settings.get("OPENAI_ORG_ID"),
    )


def _azure(settings: Mapping[str, str]) -> OpenAIChatCompletionClient:
    endpoint = _required(settings, ("AZURE_OPENAI_ENDPOINT",), _AZURE)
    model = _required(settings, _AZURE_MODEL, _AZURE)
    api_key = settings.get("AZURE_OPENAI_API_KEY")
    return _client_type()(
        model,
        azure_endpoint=endpoint,
        api_key=api_key,
        credential=None if api_key else _azure_tokens(),
        api_version=settings.get("AZURE_OPENAI_API_VERSION"),
    )


def _azure_tokens() -> Callable[[], Awaitable[str]]:
    """Tokens for whoever this process is: a managed identity, or the person who said `az login`."""
    try:
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError as exc:
        raise DemoSetupError(
            "AZURE_OPENAI_ENDPOINT is set, but not AZURE_OPENAI_API_KEY. Set it too, "
            "or use Microsoft Entra ID instead of a key: pip install 'streamsink[entra]'"
        ) from exc
    provider = get_bearer_token_provider(DefaultAzureCredential(), _AZURE_SCOPE)

    async def token() -> str:
        return await asyncio.to_thread(provider)  # it asks over the network

    return token


def _client_type() -> type[OpenAIChatCompletionClient]:
    try:
        from agent_framework.openai import OpenAIChatCompletionClient
    except ImportError as exc:
        raise DemoSetupError("This model needs one more package: pip install 'streamsink[demo]'") from exc
    return OpenAIChatCompletionClient


def _required(settings: Mapping[str, str], names: tuple[str, ...], group: tuple[str, ...]) -> str:
    """Return the first of `names` that is set; the others of `group` say why it is needed."""
    if found := _any_of(names, settings):
        return settings[found]
    raise DemoSetupError(
        f"{_any_of(group, settings)} is set, but not {' or '.join(names)}. "
        "Set it too, or unset all of them for the offline demo."
    )


def _any_of(names: tuple[str, ...], settings: Mapping[str, str]) -> str | None:
    return next((name for name in names if name in settings), None)
