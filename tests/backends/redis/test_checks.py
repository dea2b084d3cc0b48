"""``streamsink doctor`` at a real Valkey, and at a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from streamsink.backends.redis import checks as module
from streamsink.backends.redis.checks import redis_checks
from streamsink.backends.redis.settings import RedisSettings
from streamsink.core.checks import Finding, examine
from streamsink.core.runtime import Runtime
from streamsink.doctor import Diagnosis, lines
from streamsink.testing.valkey import ValkeyServer

from .clusters import LocalCluster, local_cluster
from .support import open_store
from .test_acl import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.service


async def found(url: str, runtime: Runtime | None = None) -> dict[str, Finding]:
    async with redis_checks(RedisSettings(url=url, timeout_s=2), runtime or Runtime()) as checks:
        return {finding.name.removeprefix("redis "): finding async for finding in examine(checks)}


def verdicts(findings: Mapping[str, Finding]) -> dict[str, str]:
    return {name: finding.verdict for name, finding in findings.items()}


WELL = dict.fromkeys(("redis", "writes", "scripts", "channels", "persistence", "memory", "clock"), "ok")


async def test_a_redis_that_is_well() -> None:
    with ValkeyServer("--appendonly", "yes") as server:
        assert verdicts(await found(server.url)) == WELL


async def test_the_documented_rules_are_enough_and_a_password_is_not_shown() -> None:
    said: list[str] = []
    with ValkeyServer() as server:
        administrator = open_store(server)
        with administrator.mapped():
            await administrator.client.execute_command(*rules())  # type: ignore[no-untyped-call]
        await administrator.aclose()
        environ = {
            "STREAM_BACKEND": "redis",
            "STREAM_SECRET": f"k1:{'s' * 40}",
            "STREAM_REDIS_URL": server.url.replace("://", "://streamsink:password@"),
        }
        diagnosis = Diagnosis(environ, lambda finding: said.append(lines(finding)))
        await diagnosis.make()

    assert diagnosis.is_well, said
    assert "password" not in "".join(said)


async def test_a_wrong_password() -> None:
    with ValkeyServer("--requirepass", "right") as server:
        findings = await found(server.url.replace("://", "://:wrong@"))

    assert findings["redis"].verdict == "failed"
    assert "password" in findings["redis"].text
    assert {finding.verdict for name, finding in findings.items() if name != "redis"} == {"skipped"}


async def test_what_may_be_lost_is_noted(valkey: ValkeyServer) -> None:
    with ValkeyServer("--maxmemory-policy", "allkeys-lru") as server:
        assert verdicts(await found(server.url)) == {**WELL, "persistence": "note", "memory": "note"}


async def test_a_replica_cannot_be_written(valkey: ValkeyServer) -> None:
    with ValkeyServer("--replicaof", "127.0.0.1", str(valkey.port)) as server:
        findings = await found(server.url)

    assert (findings["writes"].verdict, "replica" in findings["writes"].text) == ("failed", True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with local_cluster() as cluster:
        yield cluster


async def test_each_master_of_a_cluster_is_asked(cluster: LocalCluster) -> None:
    assert verdicts(await found(cluster.url)) == {**WELL, "persistence": "note"}


@pytest.mark.parametrize(
    ("info", "text"),
    [({"redis_version": "6.2.14"}, "redis 6.2.14 is too old"), ({}, "does not say its version")],
)
async def test_a_server_that_is_too_old(
    info: dict[str, Any], text: str, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def old(self: Any, section: str) -> list[dict[str, Any]]:
        return [info]

    monkeypatch.setattr(module._RedisChecks, "_info", old)

    assert text in (await found(valkey.url))["redis"].text


async def test_a_clock_that_is_wrong(valkey: ValkeyServer) -> None:
    ahead = Runtime(now_ms=lambda: Runtime().now_ms() + 100_000)

    assert (await found(valkey.url, ahead))["clock"].verdict == "note"


async def test_channels_that_are_not_heard(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEARD_S", 0.1)
    monkeypatch.setattr(module._Ear, "on_messages", lambda self, payloads: None)
    findings = await found(valkey.url)

    assert (findings["channels"].verdict, "0.1 s" in findings["channels"].text) == ("failed", True)
