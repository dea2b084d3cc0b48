"""Verbs and paths, and tokens of pages."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.signalr.twin.payload import next_token, read_payload, token_place
from streamsink.backends.signalr.twin.problems import ServiceError
from streamsink.backends.signalr.twin.routes import Kind, find_route

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(hub=NAMES, group=NAMES, connection=NAMES, safe=st.sampled_from(["", "!$&'()*+,;=@"]))
def test_every_name_survives_its_path(hub: str, group: str, connection: str, safe: str) -> None:
    """A slash in it too: paths are split before they are decoded."""
    path = "/".join(quote(name, safe=safe) for name in (hub, "groups", group, "connections", connection))

    route = find_route("PUT", f"/api/hubs/{path}")

    assert (route.kind, route.status, route.is_old) == (Kind.JOIN, 200, False)
    assert route.names == {"hub": hub, "group": group, "connection": connection}


@pytest.mark.parametrize("path", ["/api/hubs/%FF/:send", "/api/hubs/h/groups/%C3/:send"])
def test_names_are_utf_8(path: str) -> None:
    with pytest.raises(ServiceError, match="is not UTF-8") as refused:
        find_route("POST", path)

    assert refused.value.status == 400


def test_the_verbs_of_a_path_are_told() -> None:
    with pytest.raises(ServiceError) as refused:
        find_route("PATCH", "/api/hubs/h/users/u/groups/g")

    assert (refused.value.status, refused.value.headers) == (405, {"allow": "DELETE, GET, HEAD, PUT"})


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_tokens_of_pages_say_where(connection_id: str) -> None:
    token = next_token(connection_id)

    assert token_place(token) == connection_id
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize("more", [{}, {"arguments": None}, {"Arguments": []}])
def test_check_55_arguments_may_be_missing(more: dict[str, Any]) -> None:
    assert read_payload("application/json", json.dumps({"target": "m", **more}).encode()).arguments == []


@given(st.binary() | st.text().map(str.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(ServiceError):
        assert read_payload("application/json", body).target
