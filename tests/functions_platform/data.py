"""What crosses between host and language worker, as in the platform's worker protocol (`TypedData`, `RpcHttp`).

The same values go to a worker in this process and, as one JSON line each, to a worker in its own.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal, TypeAlias

import msgspec

__all__ = ["Answer", "Cookie", "Data", "Function", "HttpAnswer", "HttpCall", "Invocation", "Outcome", "Text"]

_SUFFIX: Final = "Trigger"


class HttpCall(msgspec.Struct, frozen=True, tag="call"):
    """A request as the front hands it over: names in lower case, one value each, the URL in its display form."""

    method: str
    url: str
    headers: dict[str, str]
    query: dict[str, str]
    params: dict[str, str]
    body: bytes


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A string, or JSON in a string."""

    kind: Literal["string", "json"]
    text: str


class Cookie(msgspec.Struct, frozen=True):
    """A cookie travels beside the headers; the host writes the header from its parts."""

    name: str
    value: str
    domain: str | None = None
    path: str | None = None
    expires_s: float | None = None
    max_age_s: float | None = None
    secure: bool = False
    http_only: bool = False
    same_site: str | None = None


class HttpAnswer(msgspec.Struct, frozen=True, tag="answer"):
    status: int
    headers: dict[str, str]
    cookies: tuple[Cookie, ...]
    body: bytes


Data: TypeAlias = HttpCall | Text
Answer: TypeAlias = HttpAnswer | Text


class Invocation(msgspec.Struct, frozen=True, tag="invocation"):
    """One execution of one function; `inputs` by the binding's name."""

    id: str
    function: str
    inputs: dict[str, Data]


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """How an invocation ended: with a value, or with the exception's text."""

    id: str
    value: Answer | None = None
    error: str | None = None

    def text(self) -> str:
        """Return the text that the function gave.

        Raises:
            AssertionError: it failed, or gave something else.
        """
        assert isinstance(self.value, Text), f"expected a text, not {self.value!r}; error: {self.error}"
        return self.value.text


class Function(msgspec.Struct, frozen=True):
    """What a worker says about a function when the host indexes it: its name and its bindings' raw JSON."""

    name: str
    raw_bindings: tuple[str, ...]

    @property
    def bindings(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for raw in self.raw_bindings]

    @property
    def trigger(self) -> dict[str, Any]:
        return next(binding for binding in self.bindings if binding["type"].endswith(_SUFFIX))

    @property
    def durable_clients(self) -> list[str]:
        """The names of the parameters that take a durable client."""
        return [binding["name"] for binding in self.bindings if binding["type"] == "durableClient"]
