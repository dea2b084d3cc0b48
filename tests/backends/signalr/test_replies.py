"""What each status means."""

from __future__ import annotations

from typing import Any

import pytest

from streamsink.backends.signalr import replies
from streamsink.backends.signalr.replies import MembersPage, Operation, ServiceError, no_answer, read_reply
from streamsink.core.errors import ConnectionGoneError, UnavailableError


def read(operation: Operation[Any], status: int, body: bytes = b"", /, **headers: str) -> Any:
    return read_reply(operation, status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def refused(status: int, operation: Operation[Any] = replies.SEND, /, **headers: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        read(operation, status, b"", **headers)
    return caught.value


@pytest.mark.parametrize("status", [200, 202, 204])
def test_every_success_is_one_whatever_its_body(status: int) -> None:
    assert read(replies.SEND, status, b"\xff not even text") is None
    assert read(replies.GROUP_EXISTS, status) is True


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (replies.CONNECTION_EXISTS, "Warning.Connection.NotExisted"),
        (replies.USER_EXISTS, "Warning.User.NotExisted"),
        (replies.GROUP_EXISTS, "Warning.Group.NotExisted"),
        (replies.USER_IN_GROUP, "Info.User.NotInGroup"),
        (replies.CLOSE_CONNECTION, "Warning.Connection.NotExisted"),
    ],
)
def test_a_404_with_the_expected_code_is_an_answer_and_one_without_is_an_error(
    operation: Operation[Any], code: str
) -> None:
    assert read(operation, 404, x_ms_error_code=code) is False
    for other in ("", "Warning.Nothing.NotExisted", f"{code}.", "NotExisted"):
        assert refused(404, operation, x_ms_error_code=other).fault == "address"


def test_who_is_gone_cannot_join_and_has_left() -> None:
    with pytest.raises(ConnectionGoneError):
        read(replies.ADD_CONNECTION, 404, x_ms_error_code="Error.Connection.NotExisted")
    assert read(replies.REMOVE_CONNECTION, 404, x_ms_error_code="Error.Connection.NotExisted") is None
    assert read(replies.REMOVE_USER, 404, x_ms_error_code="Info.User.NotInGroup") is None
    assert read(replies.MEMBERS, 404, x_ms_error_code="Warning.Group.NotExisted") == MembersPage((), None)


@pytest.mark.parametrize(
    ("status", "fault", "is_passing"),
    [
        (400, "request", False), (413, "request", False), (415, "request", False), (431, "request", False),
        (401, "credentials", False), (403, "credentials", False),
        (301, "address", False), (307, "address", False), (404, "address", False), (405, "address", False),
        (429, "throttled", True),
        (408, "service", True), (500, "service", True), (502, "service", True), (503, "service", True),
        (501, "address", False), (100, "request", False),
    ],
)  # fmt: skip
def test_whose_fault_it_is_and_whether_it_passes(status: int, fault: str, is_passing: bool) -> None:
    error = refused(status)

    assert (error.fault, error.is_passing) == (fault, is_passing)
    assert isinstance(error, UnavailableError)
    assert f"send: {status}" in str(error)


def test_errors_say_what_the_service_said_and_no_more_than_is_safe() -> None:
    said = 'Bearer error="invalid_token", error_description="The audience is invalid"'

    assert "The audience is invalid" in str(refused(401, www_authenticate=said))
    assert "Error.X.Invalid" in str(refused(400, x_ms_error_code="Error.X.Invalid"))
    assert "<b>" not in str(refused(400, x_ms_error_code="<b>"))
    assert "SignalR REST API Owner" in str(refused(403))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "Sun, 06 Nov 1994 08:49:07 GMT"}, 30.0),
        ({"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "Sun, 06 Nov 1994 09:00:00 GMT"}, 0.0),
        ({"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
        ({"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "Sun, 06 Nov 1994 08:49:37 -0000"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert refused(429, **headers).retry_after_s == seconds


def test_silence_may_pass() -> None:
    assert no_answer(replies.SEND, "ConnectError").is_passing


def test_a_token_is_read() -> None:
    assert read(replies.GENERATE_TOKEN, 200, b'{"token":"t","more":1}') == "t"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token":1}', b'{"token":""}', b"\xff"])
def test_what_is_no_token_is_said(body: bytes) -> None:
    with pytest.raises(ServiceError):
        read(replies.GENERATE_TOKEN, 200, body)


@pytest.mark.parametrize(
    ("body", "ids", "page"),
    [
        (b'{"value":[]}', (), None),
        (b'{"value":[{"connectionId":"a","userId":"u"},{"connectionId":"b"}]}', ("a", "b"), None),
        (b'{"value":[{"connectionId":"a"},{},7,{"connectionId":8}],"nextLink":null}', ("a",), None),
        (b'{"value":null,"nextLink":"https://evil.test/x?continuationToken=%2F&top=1#y"}', (),
         "continuationToken=%2F&top=1"),
        (b'{"nextLink":"/x?y"}', (), "y"),
        (b'{"nextLink":"/x"}', (), None),
    ],
)  # fmt: skip
def test_members_come_in_pages_whose_links_lead_nowhere_else(
    body: bytes, ids: tuple[str, ...], page: str | None
) -> None:
    assert read(replies.MEMBERS, 200, body) == MembersPage(ids, page)


def test_a_link_that_is_none_is_refused() -> None:
    with pytest.raises(ServiceError):
        read(replies.MEMBERS, 200, b'{"nextLink":"/x?a b"}')
