"""The web page: files of the package, read once."""

from __future__ import annotations

import pytest

from streamsink.core.errors import NotFoundError
from streamsink.core.identity import Request
from streamsink.hosts.page import Page

REQUEST = Request(method="GET", path="/")


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("index.html", "text/html; charset=utf-8"),
    ],
)
def test_files_have_the_type_that_browsers_want(path: str, media_type: str) -> None:
    headers = dict(Page(["Robot"]).file(REQUEST, path).headers)

    assert headers["content-type"] == media_type
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_names_of_agents_are_written_as_text() -> None:
    body = Page(['"><script>', "Two"]).index(REQUEST).body

    assert b'content="&quot;&gt;&lt;script&gt;,Two"' in body
    assert b"{{agents}}" not in body


def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    page = Page([])
    tag = dict(page.index(REQUEST).headers)["etag"]

    again = page.index(Request(method="GET", path="/", headers={"if-none-match": tag}))

    assert (again.status, again.body) == (304, b"")
    assert dict(again.headers)["etag"] == tag
    assert dict(Page(["Other"]).index(REQUEST).headers)["etag"] != tag


@pytest.mark.parametrize("path", ["", "/", "..", "../cli.py", "app.js/", "APP.JS", "client", "vendor/none.js"])
def test_nothing_else_is_served(path: str) -> None:
    with pytest.raises(NotFoundError):
        Page([]).file(REQUEST, path)
