"""Dependencies point inward, hosts → core ← backends, and what decides about protocols and state does no I/O."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import streamsink

ROOT = Path(streamsink.__file__).parent
MODULES = {
    ".".join(("streamsink", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
SANS_IO = [
    *(
        f"streamsink.core.{name}"
        for name in (
            "access", "auth_settings", "coalescer", "conversation", "cursor", "delivery", "drafts", "errors", "events",
            "items", "limits", "measures", "names", "origins", "secrets", "sequencer", "settings", "thread_ids",
            "tickets", "timeline", "updates", "user_messages", "utf16", "variables",
        )
    ),
    *(
        f"streamsink.backends.gateway.{name}"
        for name in ("connection", "frame", "handshake", "http", "json_protocol", "messages", "negotiate", "tokens")
    ),
    "streamsink.backends.memory.log",
    "streamsink.backends.none.runs",
    "streamsink.backends.process.runs",
    "streamsink.backends.process.thread_runs",
    *(
        f"streamsink.backends.signalr.{name}"
        for name in (
            "connection_string", "credentials", "identity_settings", "replies", "rest", "retries", "settings", "tokens",
        )
    ),
    "streamsink.hosts.functions.entity_keys",
    "streamsink.backends.redis.letters",
    "streamsink.backends.redis.signed_tokens",
    "streamsink.backends.redis.slots",
    "streamsink.backends.redis.subscriptions",
    *(
        f"streamsink.backends.signalr.twin.{name}"
        for name in (
            "data_plane", "fault_text", "hubs", "operations", "payload", "problems", "requests", "routes", "tokens",
            "user_groups",
        )
    ),
]  # fmt: skip
SHARED = {"gateway", "process"}
IO = {"asyncio", "concurrent", "datetime", "os", "pathlib", "random", "select", "socket", "ssl", "subprocess",
      "threading", "time", "urllib.request"}  # fmt: skip


def imports(module: str) -> set[str]:
    """The modules that a module imports, wherever in it, but for annotations."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    for_types = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            name = str(node.module)
            found |= {f"{name}.{alias.name}" if f"{name}.{alias.name}" in MODULES else name for alias in node.names}
    return found


def within(*packages: str) -> list[str]:
    return sorted(name for name in MODULES if name.startswith(tuple(f"streamsink.{each}" for each in packages)))


def backend_of(module: str) -> str:
    return module.removeprefix("streamsink.backends.").partition(".")[0]


@pytest.mark.parametrize("module", SANS_IO)
def test_protocol_and_state_do_no_io(module: str) -> None:
    assert not {name for name in imports(module) if name in IO or name.partition(".")[0] in IO}


@pytest.mark.parametrize("module", within("core"))
def test_the_core_knows_nobody(module: str) -> None:
    foreign = {
        name
        for name in imports(module)
        if not name.startswith("streamsink.core") and name.partition(".")[0] not in sys.stdlib_module_names
    }

    assert foreign <= {"msgspec"}


@pytest.mark.parametrize("module", within("backends"))
def test_backends_know_the_core_and_what_they_share(module: str) -> None:
    own = ("streamsink.core", "streamsink.plugins", f"streamsink.backends.{backend_of(module)}")
    foreign = {name for name in imports(module) if name.startswith("streamsink") and not name.startswith(own)}

    assert {backend_of(name) for name in foreign} <= SHARED
    assert not foreign or backend_of(module) not in SHARED


@pytest.mark.parametrize("module", within("doctor", "hosts", "opening", "plugins", "sync"))
def test_nobody_outside_imports_a_named_backend(module: str) -> None:
    assert not {name for name in imports(module) if name.startswith("streamsink.backends")}


@pytest.mark.parametrize("module", sorted(set(MODULES) - set(within("hosts.functions"))))
def test_only_one_host_knows_the_durable_framework(module: str) -> None:
    """It is in beta, loads grpc, and its extra is not everybody's."""
    durable = (
        "azure.functions",
        "azure.durable_functions",
        "agent_framework_azurefunctions",
        "agent_framework_durabletask",
    )
    others = {name for name in imports(module) if name.startswith(("streamsink.hosts.functions.", *durable))}

    assert not others or module == "streamsink.hosts.functions"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_package_does_not_need_its_demonstration_or_its_test_helpers(module: str) -> None:
    if module.startswith(("streamsink.demo", "streamsink.testing")):
        return

    assert not {name for name in imports(module) if name.startswith("streamsink.testing")}


def needed_by(*modules: str) -> set[str]:
    """The packages of others that modules import, and those that they import, wherever in them."""
    seen: set[str] = set()
    waiting = list(modules)
    foreign: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        names = imports(module)
        waiting += [name for name in names if name in MODULES]
        foreign |= {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"streamsink"}
    return foreign


def test_a_publisher_needs_no_extra() -> None:
    """What ``import streamsink`` loads is in the package's own dependencies."""
    assert needed_by("streamsink") <= {"jwt", "msgspec", "pluggy"}


def test_azure_functions_need_no_server() -> None:
    """Nothing of the ASGI host's extra is on the platform."""
    needed = needed_by(
        "streamsink.hosts.functions",
        "streamsink.backends.signalr.factory",
        "streamsink.backends.redis.factory",
        "streamsink.demo.travel_planner",
    )

    assert {"azure", "httpx", "redis"} <= needed
    assert not needed & {"click", "starlette", "uvicorn"}
