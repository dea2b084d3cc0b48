"""The platform's HTTP requests as core's, and replies as its responses."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from azure.functions import HttpResponse

from streamsink.core.identity import Request
from streamsink.hosts.identity.service_key import HEADER as SERVICE_KEY
from streamsink.hosts.requests import url_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from azure.functions import HttpRequest

    from streamsink.hosts.http import Reply

__all__ = ["base_url", "is_https", "neutral_request", "response_to"]

# Where callers of functions show their key; the platform checks it on functions that demand one, which ours do not.
_FUNCTION_KEY: Final = "x-functions-key"
_FUNCTION_KEY_QUERY: Final = "code"


def neutral_request(native: HttpRequest, service_keys: Iterable[str] = ()) -> Request:
    """The same request as every host gives it to ``identify``.

    Args:
        service_keys: those of this deployment: one that is shown as function keys are is shown as a service key.
    """
    headers = {name.lower(): value for name, value in native.headers.items()}
    url = urlsplit(native.url)
    # The platform leaves empty values out of ``params``, and joins those of one name.
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    shown = headers.get(_FUNCTION_KEY) or query.get(_FUNCTION_KEY_QUERY)
    if shown and SERVICE_KEY not in headers and _is_among(shown, service_keys):
        headers[SERVICE_KEY] = shown
    return Request(
        method=native.method.upper(),
        path=unquote(url.path),
        query=query,
        headers=headers,
        cookies=_cookies(headers.get("cookie", "")),
        native=native,
    )


def _is_among(shown: str, keys: Iterable[str]) -> bool:
    # All are compared, so that time does not tell which one matched.
    return True in [hmac.compare_digest(shown.encode(), key.encode()) for key in keys]


def _cookies(header: str) -> Mapping[str, str]:
    """The cookies that a browser sends; the platform has escaped their values when it set them."""
    pairs = (part.partition("=") for part in header.split(";"))
    return {name.strip(): unquote(value.strip().strip('"')) for name, _, value in pairs if name.strip()}


def base_url(native: HttpRequest, public_url: str | None) -> str:
    """Where clients reach this host, with no slash at the end.

    Raises:
        InvalidRequestError: the request came to something that is no host.
    """
    if public_url is not None:
        return public_url
    url = urlsplit(native.url)
    return url_at(url.scheme, url.netloc)


def is_https(request: Request) -> bool:
    """Whether the browser used https, as far as the platform says so."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return forwarded == "https" or (not forwarded and urlsplit(request.native.url).scheme == "https")


def response_to(method: str, reply: Reply) -> HttpResponse:
    """The response that a reply is; to HEAD without its body."""
    headers: dict[str, str] = {}
    cookies = []
    for name, value in reply.headers:
        if name == "set-cookie":
            cookies.append(value)
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = b"" if method == "HEAD" else reply.body
    response = HttpResponse(body, status_code=reply.status, headers=headers)
    for cookie in cookies:
        response.headers.add("set-cookie", cookie)
    return response
