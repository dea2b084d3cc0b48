"""``streamsink doctor`` at the twin: everything well, and one thing wrong at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from streamsink.backends.signalr import client_checks, factory
from streamsink.backends.signalr.checks import signalr_checks
from streamsink.backends.signalr.probe import Probe
from streamsink.backends.signalr.settings import SignalRSettings
from streamsink.backends.signalr.twin import twin
from streamsink.core.checks import Finding, examine
from streamsink.core.runtime import Runtime
from streamsink.core.settings import Settings
from streamsink.core.variables import read
from streamsink.doctor import Diagnosis, lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamsink.backends.signalr.twin.service import Twin

pytestmark = pytest.mark.service

CLIENTS = ["clients", "groups", "messages", "largest event", "user and connection", "leaving", "closing"]
WRONG = f"AccessKey={'x' * 44};"


def own(connection_string: str, **environ: str) -> SignalRSettings:
    return read(SignalRSettings, {"STREAM_SIGNALR_CONNECTION_STRING": connection_string, **environ})


async def found(settings: SignalRSettings) -> dict[str, Finding]:
    async with signalr_checks(Settings(), settings, Runtime()) as checks:
        return {finding.name: finding async for finding in examine(checks)}


def failed(findings: Mapping[str, Finding]) -> list[str]:
    assert all(each.advice for each in findings.values() if each.verdict == "failed")
    return [each.name for each in findings.values() if each.verdict == "failed"]


def skipped(findings: Mapping[str, Finding]) -> list[str]:
    return [each.name for each in findings.values() if each.verdict == "skipped"]


def with_key(service: Twin, part: str) -> str:
    """Its connection string with another key."""
    before, _, rest = service.connection_string.partition("AccessKey=")
    return before + part + rest.partition(";")[2]


async def test_a_service_that_is_well() -> None:
    said: list[str] = []
    async with twin() as service:
        second = service.connection_string
        first = service.rotate_key()
        environ = {
            "STREAM_BACKEND": "signalr",
            "STREAM_SECRET": f"k1:{'s' * 40}",
            "AzureSignalRConnectionString": first,
            "STREAM_SIGNALR_SECOND_CONNECTION_STRING": second,
        }
        diagnosis = Diagnosis(environ, lambda finding: said.append(lines(finding)))
        await diagnosis.make()

        assert diagnosis.is_well, said
        verdicts = {each.name: each.verdict for each in diagnosis.findings}
        assert set(verdicts.values()) == {"ok", "note"}
        assert {*CLIENTS, "second key", "a wrong key", "a token that is over", "a run"} <= verdicts.keys()
        for connection_string in (first, second):
            key = connection_string.partition("AccessKey=")[2].partition(";")[0]
            assert key not in "\n".join(said)
        assert service.hub("streamsink").clients() == []


async def test_a_wrong_key() -> None:
    async with twin() as service:
        findings = await found(own(with_key(service, WRONG)))

    assert failed(findings) == ["credentials"]
    assert "signature" in findings["credentials"].text
    assert {"client tokens", *CLIENTS} <= set(skipped(findings))


async def test_a_wrong_second_key() -> None:
    async with twin() as service:
        wrong = with_key(service, WRONG)
        findings = await found(own(service.connection_string, STREAM_SIGNALR_SECOND_CONNECTION_STRING=wrong))

    assert failed(findings) == ["second key"]


async def test_a_service_that_is_away() -> None:
    async with twin() as service:
        settings = own(service.connection_string)
    findings = await found(settings)

    assert failed(findings) == ["service"]
    assert len(skipped(findings)) == len(findings) - 2


async def test_clients_that_are_refused() -> None:
    async with twin() as service:
        service.faults.refuse_negotiate(403)
        findings = await found(own(service.connection_string))

    assert failed(findings) == ["client tokens"]
    assert "403" in findings["client tokens"].text
    assert set(CLIENTS) <= set(skipped(findings))


async def test_clients_that_are_refused_after_negotiating() -> None:
    async with twin() as service:
        settings = own(service.connection_string)
        async with signalr_checks(Settings(), settings, Runtime()) as checks:
            findings = {}
            async for finding in examine(checks):
                findings[finding.name] = finding
                if finding.name == "the service's tokens":
                    service.faults.refuse_negotiate(429)

    assert failed(findings) == ["clients"]
    assert "429" in findings["clients"].text


async def test_sends_that_fail() -> None:
    async with twin() as service:
        service.faults.inject("send", status=503)
        findings = await found(own(service.connection_string))

    assert failed(findings) == ["messages", "largest event", "user and connection", "leaving"]
    assert findings["closing"].verdict == "ok"
    assert "503" in findings["messages"].text


async def test_messages_that_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_checks, "_WAIT_S", 0.2)
    async with twin() as service:
        service.faults.inject("send", reorder=True)  # one after the other: each is held back
        service.faults.held_s = 1.0
        findings = await found(own(service.connection_string))

    assert findings["messages"].text == "1 of 1 did not arrive within 0.2 s"


async def test_messages_out_of_order_are_for_clients_to_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twin() as service:
        service.faults.held_s = 0.02
        service.faults.inject("send", reorder=True)
        findings = await found(own(service.connection_string))

    assert findings["messages"].verdict == "note"
    assert "out of order" in findings["messages"].text


async def test_groups_that_nobody_gets_into() -> None:
    async with twin() as service:
        service.faults.inject("list", status=500)
        findings = await found(own(service.connection_string))

    assert failed(findings) == ["groups"]


async def test_groups_that_do_not_know_their_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_checks, "_KNOWN_WITHIN_S", 0.0)

    async def nobody(self: Any) -> list[str]:
        return []

    monkeypatch.setattr(client_checks.ClientChecks, "_members", nobody)
    async with twin() as service:
        findings = await found(own(service.connection_string))

    assert failed(findings) == ["groups"]


class Junk:
    """A token source whose tokens nobody takes."""

    def get_token(self, *scopes: str) -> Any:
        class Token:
            token = "junk"
            expires_on = 2**40

        return Token()


async def test_an_identity_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "token_source", lambda identity, variable: Junk())
    async with twin() as service:
        findings = await found(own(with_key(service, "AuthType=azure.msi;")))

    assert failed(findings) == ["credentials"]
    assert "a wrong key" not in findings


@pytest.mark.parametrize(
    ("name", "status", "headers", "verdict"),
    [
        ("clock", 200, {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, "failed"),
        ("clock", 200, {}, "ok"),
        ("a bad request", 202, {}, "failed"),
        ("a wrong key", 404, {}, "failed"),
        ("a token that is over", 404, {}, "ok"),
        ("what is not there", 200, {}, "failed"),
    ],
)
async def test_answers_of_another_shape(
    name: str, status: int, headers: dict[str, str], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reply(self: Probe, request: Any, token: str | None = None) -> httpx.Response:
        self.times.append(0.0)
        return httpx.Response(status, headers=headers)

    async with twin() as service, signalr_checks(Settings(), own(service.connection_string), Runtime()) as checks:
        monkeypatch.setattr(Probe, "reply", reply)
        check = replace(next(each for each in checks if each.name == name), needs=())
        findings = [finding async for finding in examine([check])]

    assert [each.verdict for each in findings] == [verdict]


async def test_a_clock_that_is_a_little_wrong() -> None:
    ahead = Runtime(now_ms=lambda: Runtime().now_ms() + 20_000)
    async with twin() as service, signalr_checks(Settings(), own(service.connection_string), ahead) as checks:
        findings = {finding.name: finding async for finding in examine(checks)}

    assert (findings["clock"].verdict, findings["clock"].text[2:]) == ("note", " s ahead of the service's")
