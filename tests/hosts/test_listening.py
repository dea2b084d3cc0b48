"""The listening socket, and the URL that opens it."""

from __future__ import annotations

import socket

import pytest

from streamsink.hosts.listening import listen, url_of


class Bound:
    """A socket that is bound to port 80."""

    def getsockname(self) -> tuple[str, int]:
        return "address", 80


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("host.test", "http://host.test:80"),
    ],
)
def test_the_url_is_one_that_can_be_opened(host: str, url: str) -> None:
    assert url_of(host, Bound()) == url  # type: ignore[arg-type]


def test_it_listens_on_either_kind_of_address() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.family is socket.AF_INET
    if socket.has_ipv6:
        try:
            with listen("::1", 0) as listener:
                assert listener.family is socket.AF_INET6
        except OSError:
            pytest.skip("this machine has no IPv6 address")
