"""``streamsink doctor`` on what needs no service; those with one are beside their backends."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from streamsink import cli, doctor
from streamsink.core.checks import Finding
from streamsink.core.composed import ComposedSink
from streamsink.core.errors import UnavailableError
from streamsink.core.events import Terminal
from streamsink.doctor import Diagnosis, lines
from streamsink.plugins import BackendSpec, backends, create_plugin_manager

SINK = ["readiness", "a run", "its history", "its deletion"]


async def diagnosed(**environ: str) -> Diagnosis:
    said: list[Finding] = []
    diagnosis = Diagnosis(environ, said.append)
    await diagnosis.make()
    assert said == diagnosis.findings
    return diagnosis


def verdicts(diagnosis: Diagnosis) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in diagnosis.findings}


async def test_memory_depends_on_nothing_and_says_so() -> None:
    diagnosis = await diagnosed()

    assert diagnosis.is_well
    assert verdicts(diagnosis) == {"settings": "ok", "memory": "note", **dict.fromkeys(SINK, "ok")}


async def test_without_a_history_nothing_can_be_read() -> None:
    diagnosis = await diagnosed(STREAM_HISTORY="none")

    assert diagnosis.findings[0].text == "backend `memory`, history `none`"
    assert (diagnosis.is_well, verdicts(diagnosis)["its history"]) == (True, "note")


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"STREAM_QUEUE_LIMIT": "many"}, "STREAM_QUEUE_LIMIT"),
        ({"STREAM_BACKEND": "nowhere"}, "nowhere"),
        ({"STREAM_BACKEND": "redis"}, "STREAM_SECRET"),
    ],
)
async def test_wrong_settings_end_it(environ: dict[str, str], text: str) -> None:
    diagnosis = await diagnosed(**environ)

    assert not diagnosis.is_well
    assert [(each.name, each.verdict) for each in diagnosis.findings] == [("settings", "failed")]
    assert text in diagnosis.findings[0].text


async def test_a_backend_that_cannot_be_opened_is_named() -> None:
    secret = f"k1:{'s' * 40}"
    diagnosis = await diagnosed(STREAM_BACKEND="signalr", STREAM_SECRET=secret)

    failed = [each for each in diagnosis.findings if each.verdict == "failed"]
    assert [each.name for each in failed] == ["signalr", "sink"]
    assert all("STREAM_SIGNALR_CONNECTION_STRING" in each.text for each in failed)


async def test_a_backend_without_checks_is_looked_at_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = backends(create_plugin_manager())["memory"]
    bare = BackendSpec(name="memory", factory=spec.factory, settings=spec.settings, one_process=True)
    monkeypatch.setattr(doctor, "find_backend", lambda manager, name: bare)

    assert verdicts(await diagnosed()) == {"settings": "ok", **dict.fromkeys(SINK, "ok")}


async def test_what_a_sink_cannot_do_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise UnavailableError("it is away")

    monkeypatch.setattr(ComposedSink, "check", away)
    found = verdicts(await diagnosed())

    assert [found[name] for name in SINK] == ["failed", "skipped", "skipped", "skipped"]


async def test_a_run_that_fails_is_seen_and_is_deleted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed(*_: Any, **__: Any) -> Terminal:
        return Terminal("failed")

    monkeypatch.setattr(ComposedSink, "publish", failed)
    found = verdicts(await diagnosed())

    assert [found[name] for name in SINK] == ["ok", "failed", "skipped", "ok"]


async def test_a_history_that_forgets_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def said(*_: Any, **__: Any) -> Terminal:
        return Terminal("completed")

    monkeypatch.setattr(ComposedSink, "publish", said)
    assert verdicts(await diagnosed())["its history"] == "failed"


def test_the_command_says_each_finding_and_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAM_BACKEND", raising=False)
    result = CliRunner().invoke(cli.main, ["doctor"])

    assert result.exit_code == 0
    assert result.output.startswith("ok      settings: backend `memory`\nnote    memory: ")
    assert "\n        -> for several processes" in result.output
    assert result.output.endswith("6 checks: 5 ok, 1 note\n")


def test_the_command_ends_with_1_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_QUEUE_LIMIT", "many")
    result = CliRunner().invoke(cli.main, ["doctor"])

    assert result.exit_code == 1
    assert result.output.startswith("failed  settings: STREAM_QUEUE_LIMIT should be")


def test_a_finding_without_advice_is_one_line() -> None:
    assert lines(Finding("ok", "a", "works")) == "ok      a: works"
