"""What the service answers instead of a success. Sans-IO.

Source: ``ErrorDetail`` of the data-plane swagger (2024-12-01); the codes of azure-signalr's RestHubLifetimeManager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from streamsink.backends.gateway.http import Reply, refusal
from streamsink.core.errors import StreamSinkError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ERROR_CODE",
    "INVALID_REQUEST",
    "NO_CONNECTION",
    "NO_CONNECTION_TO_GROUP",
    "NO_GROUP",
    "NO_USER",
    "NO_USER_IN_GROUP",
    "ServiceError",
    "problem_reply",
]

ERROR_CODE: Final = "x-ms-error-code"

NO_CONNECTION: Final = "Warning.Connection.NotExisted"
NO_USER: Final = "Warning.User.NotExisted"
NO_GROUP: Final = "Warning.Group.NotExisted"
NO_USER_IN_GROUP: Final = "Info.User.NotInGroup"
NO_CONNECTION_TO_GROUP: Final = "Error.Connection.NotExisted"
# The pattern is Level.Scope.Kind; which code Azure gives a bad request is not documented.
INVALID_REQUEST: Final = "Error.Request.Invalid"


class ServiceError(StreamSinkError):
    """An answer that is no success.

    Args:
        status: of HTTP.
        code: of the header ``x-ms-error-code``; empty: without one. An SDK takes a 404 with the code that it expects
            for "no", and one without for a wrong endpoint.
        message: for a person.
        headers: further ones.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = code
        self.headers: dict[str, str] = dict(headers or {})


def problem_reply(error: StreamSinkError, *, is_old: bool) -> Reply:
    """The answer that an error is: JSON and a header in the new shape, text in that of ``/api/v1``."""
    if isinstance(error, UnauthenticatedError):
        return refusal(error)
    if not isinstance(error, ServiceError):
        code = INVALID_REQUEST if 400 <= error.status < 500 else ""
        error = ServiceError(error.status, code, str(error), refusal(error).headers)
    headers = {**error.headers}
    if error.error_code and not (is_old and error.status == 400):
        headers[ERROR_CODE] = error.error_code
    if is_old:
        return Reply(error.status, str(error).encode(), headers)
    detail = {"code": error.error_code or str(error.status), "message": str(error)}
    return Reply(error.status, msgspec.json.encode(detail), {"content-type": "application/json", **headers})
