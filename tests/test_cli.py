"""The command line."""

from __future__ import annotations

import importlib
import os
import runpy
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from streamsink import __version__, cli
from streamsink.core.errors import SettingsError
from streamsink.hosts import serve as hosting
from streamsink.hosts import workers

if TYPE_CHECKING:
    from pathlib import Path


class Served:
    """Stands in for the server: says that it listens, and remembers what it was to serve."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, *args: Any, announce: Any, **options: Any) -> None:
        self.calls.append({"args": args, **options})
        announce("http://127.0.0.1:7071")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    stand_in = Served()
    monkeypatch.setattr(hosting, "serve", stand_in)
    return stand_in


@pytest.fixture(autouse=True)
def _path_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_without_arguments_it_serves_the_demo(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    result = CliRunner().invoke(cli.main, ["serve"])

    assert (result.exit_code, result.output) == (0, "Open http://127.0.0.1:7071/api/index\n")
    [call] = served.calls
    [app] = call["args"]
    assert list(app._agents) == ["TravelPlanner"]
    assert (call["host"], call["port"]) == ("127.0.0.1", 7071)


def test_address_and_port_can_be_chosen(served: Served) -> None:
    """The port also by the variable that platforms set."""
    CliRunner().invoke(cli.main, ["serve", "--host", "0.0.0.0", "--port", "80"])
    CliRunner().invoke(cli.main, ["serve"], env={"PORT": "8080"})

    assert [(call["host"], call["port"]) for call in served.calls] == [("0.0.0.0", 80), ("127.0.0.1", 8080)]
    assert CliRunner().invoke(cli.main, ["serve", "--port", "70000"]).exit_code == 2


def test_several_workers_are_given_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised = Served()
    monkeypatch.setattr(workers, "run_workers", supervised)

    served = CliRunner().invoke(cli.main, ["serve", "my:agents", "--workers", "3", "--port", "80"])
    gateways = CliRunner().invoke(cli.main, ["gateway", "--workers", "2"])

    assert served.output == "Open http://127.0.0.1:7071/api/index\n"
    assert gateways.output == "Clients connect to http://127.0.0.1:7071/client\n"
    start = [sys.executable, "-P", "-m", "streamsink"]
    assert supervised.calls == [
        {"args": ([*start, "serve", "my:agents"],), "count": 3, "host": "127.0.0.1", "port": 80},
        {"args": ([*start, "gateway"],), "count": 2, "host": "127.0.0.1", "port": 7071},
    ]


def test_a_worker_serves_on_what_its_parent_has_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    def serve_on(listener: socket.socket, app: Any, *, on_started: Any) -> None:
        served.append((listener.getsockname(), list(app._agents), on_started.__name__))

    monkeypatch.setattr(hosting, "serve_on", serve_on)
    ours, link = socket.socketpair()
    with ours, socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        descriptors = [str(listener.detach()), str(link.detach())]
        result = CliRunner().invoke(cli.main, ["serve", "--worker", *descriptors])

    assert (result.exit_code, result.output) == (0, "")
    assert served == [(address, ["TravelPlanner"], "tell_started")]


def test_a_gateway_is_for_backends_whose_clients_are_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAM_BACKEND", raising=False)

    result = CliRunner().invoke(cli.main, ["gateway"])

    assert result.exit_code == 1
    assert result.output.startswith("Error: STREAM_BACKEND should be one whose clients connect to gateways")


def test_python_can_be_asked_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["streamsink", "--version"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("streamsink", run_name="__main__")

    assert ended.value.code == 0


def test_a_valkey_can_come_along(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "STREAM_BACKEND", "STREAM_REDIS_URL", "STREAM_SECRET"):
        monkeypatch.setenv(name, "")  # so that what is set is undone
        monkeypatch.delenv(name)
    result = CliRunner().invoke(cli.main, ["serve", "--valkey"])

    assert result.exit_code == 0, result.output
    assert "for development" in result.output
    assert os.environ["STREAM_BACKEND"] == "redis"


def test_a_valkey_does_not_come_along_to_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_BACKEND", "memory")
    result = CliRunner().invoke(cli.main, ["serve", "--valkey"])

    assert result.exit_code == 1
    assert result.output == "Error: STREAM_BACKEND should be unset or `redis` with --valkey\n"


def test_help_and_version_need_nothing() -> None:
    assert __version__ in CliRunner().invoke(cli.main, ["--version"]).output
    assert "serve" in CliRunner().invoke(cli.main, ["-h"]).output


def test_a_wrong_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_QUEUE_LIMIT", "many")

    result = CliRunner().invoke(cli.main, ["serve"])

    assert result.exit_code == 1
    assert result.output.startswith("Error: STREAM_QUEUE_LIMIT should be ")
    assert "Traceback" not in result.output


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(cli.main, ["serve", "--port", str(taken.getsockname()[1])])

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamsink.hosts.serve", None)

    result = CliRunner().invoke(cli.main, ["serve"])

    assert result.exit_code == 1
    assert "pip install 'streamsink[demo]'" in result.output


def test_without_click_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "streamsink.cli")

    with pytest.raises(SystemExit, match=r"pip install 'streamsink\[asgi\]'"):
        importlib.import_module("streamsink.cli")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the working directory."""
    source = """
class Agent:
    name = "A"
    def __init__(self, *args): pass
    def run(self): pass

class Callable(Agent):
    def __call__(self): raise AssertionError("this is an agent, and not what makes agents")

one, callable_one = Agent(), Callable()
several, pair, named = [one], (one, one), {"x": one}
def make(): return one
def make_several(): return several
agents = several
"""
    (tmp_path / "my_agents_4711.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_agents_4711", raising=False)
    return "my_agents_4711"


@pytest.mark.parametrize(
    ("attribute", "count"),
    [
        (":one", 1),
        (":callable_one", 1),
        (":several", 1),
        (":pair", 2),
        (":named", 1),
        (":make", 1),
        (":make_several", 1),
        ("", 1),
        (":", 1),
    ],
)
def test_agents_are_found_however_they_are_offered(module: str, attribute: str, count: int) -> None:
    """One, several, by name, or made by a function; in the working directory."""
    found = cli.load_agents(module + attribute)

    assert len(found) == count
    assert isinstance(found, (list, tuple, dict))


@pytest.mark.parametrize("where", ["no_such_module_4711:x", "streamsink.demo:nothing", ":agents", "", "..x:y"])
def test_what_cannot_be_loaded_is_named(where: str) -> None:
    with pytest.raises(SettingsError, match="AGENTS should be module:attribute"):
        cli.load_agents(where)
