"""Between the worker protocol's values and the `Datum`s that the converters of azure-functions read and write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from azure.functions.meta import Datum

from tests.functions_platform.data import Answer, Cookie, Data, HttpAnswer, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from http.cookies import Morsel, SimpleCookie

__all__ = ["from_datum", "to_datum"]

_EXPIRES: Final = "%a, %d %b %Y %H:%M:%S GMT"


def to_datum(data: Data) -> Datum:
    if isinstance(data, Text):
        return Datum(data.text, data.kind)
    value = {
        "method": Datum(data.method, "string"),
        "url": Datum(data.url, "string"),
        "headers": _strings(data.headers),
        "query": _strings(data.query),
        "params": _strings(data.params),
        "body": Datum(data.body, "bytes"),
    }
    return Datum(value, "http")


def from_datum(datum: Any) -> Answer | None:
    """Return what the host is told.

    Raises:
        TypeError: the function returned what the platform has no use for.
    """
    if datum is None or datum.type is None:
        return None
    if datum.type == "http":
        return _answer(datum.value)
    if datum.type in ("string", "json"):
        return Text(datum.type, datum.value)
    raise TypeError(f"a {datum.type} was returned; this emulation carries HTTP, strings and JSON.")


def _strings(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


def _answer(value: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(
        status=int(value["status_code"].value),
        headers={name: header.value for name, header in value["headers"].items()},
        cookies=tuple(_cookies(value["cookies"] or ())),
        body=value["body"].value,
    )


def _cookies(cookies: Iterable[SimpleCookie]) -> Iterable[Cookie]:
    return (_cookie(morsel) for cookie in cookies for morsel in cookie.values())


def _cookie(morsel: Morsel[str]) -> Cookie:
    return Cookie(
        name=morsel.key,
        value=morsel.value,
        domain=morsel["domain"] or None,
        path=morsel["path"] or None,
        expires_s=_timestamp(morsel["expires"]),
        max_age_s=float(morsel["max-age"]) if morsel["max-age"] else None,
        secure=bool(morsel["secure"]),
        http_only=bool(morsel["httponly"]),
        same_site=morsel["samesite"].lower() or None,
    )


def _timestamp(expires: str) -> float | None:
    return datetime.strptime(expires, _EXPIRES).replace(tzinfo=UTC).timestamp() if expires else None
