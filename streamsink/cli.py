"""The command line: ``streamsink serve``, ``gateway``, ``twin`` and ``doctor``."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from streamsink.core.errors import MissingExtraError, SettingsError, StreamSinkError

if TYPE_CHECKING:
    from agent_framework import SupportsAgentRun

    from streamsink.hosts.shell import Shell

try:
    import click
except ModuleNotFoundError:  # the command exists, what it needs may not
    sys.exit(str(MissingExtraError("the streamsink command", "asgi")))

__all__ = ["load_agents", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamsink")
def main() -> None:
    """Agent answers, token by token, in the right person's browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where to listen, with how many processes; ``worker``: the descriptors that a parent gives to one of them."""

    host: str
    port: int
    workers: int
    worker: tuple[int, int] | None


_PLACE = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        envvar="PORT",
        default=7071,
        show_default=True,
        help="0: a free one.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Processes that share the port; for backends such as redis.",
    ),
    click.option("--worker", type=int, nargs=2, hidden=True),
)


def _with_place(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_PLACE):
        command = option(command)
    return command


@main.command()
@click.argument("agents", default="streamsink.demo:agents")
@_with_place
@click.option("--valkey", is_flag=True, help="With a Valkey of its own, for development: needs streamsink[valkey].")
def serve(agents: str, valkey: bool, **place: Any) -> None:
    """Serve AGENTS, given as module:attribute: an agent, several, or a function that makes them.

    Without AGENTS, the TravelPlanner: offline, or on OPENAI_* or AZURE_OPENAI_* when these are set.
    """

    def make_app() -> Shell:
        with _needing("demo", "streamsink serve"):
            from streamsink.hosts.asgi import StreamApp
        return StreamApp(load_agents(agents))

    with _development_valkey() if valkey else nullcontext():
        _run(["serve", agents], make_app, _Place(**place), extra="demo", words="Open {}/api/index")


@main.command()
@_with_place
def gateway(**place: Any) -> None:
    """Serve the clients of agents that run elsewhere: /client, and nothing else. For backends such as redis."""

    def make_app() -> Shell:
        with _needing("asgi", "streamsink gateway"):
            from streamsink.hosts.gateway_app import ClientGateway
        return ClientGateway()

    _run(["gateway"], make_app, _Place(**place), extra="asgi", words="Clients connect to {}/client")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8888, show_default=True, help="0: a free one.")
@click.option(
    "--key", "keys", multiple=True, help="Access key; the first signs. Default: that of Microsoft's emulator."
)
@click.option("--endpoint", help="URL under which others reach it, such as http://twin:8888 in a container.")
@click.option("--fault", "faults", multiple=True, metavar="RULE", help="Such as 'send:status=503,probability=0.05'.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is random in the faults.")
@click.option("--kick", is_flag=True, help="Clients that are closed are not told to come back.")
@click.option("--commands", is_flag=True, help="Read commands from stdin: fault RULE, clear, cut [COUNT], expire.")
def twin(kick: bool, commands: bool, **options: Any) -> None:
    """Serve a local Azure SignalR Service, and print its connection string."""
    with _needing("asgi", "streamsink twin"):
        from streamsink.backends.signalr.twin.command import TwinOptions, run

    def read(size: int) -> bytes:
        return os.read(sys.stdin.fileno(), size)

    try:
        run(TwinOptions(close_reconnects=not kick, **options), say=click.echo, read=read if commands else None)
    except (StreamSinkError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
def doctor() -> None:
    """Look at everything that the configured backend depends on; say what is wrong, and what to do.

    It is configured as the others: by the environment. What it writes, it deletes. No output has a key.
    """
    from streamsink.doctor import Diagnosis, lines

    diagnosis = Diagnosis(os.environ, lambda finding: click.echo(lines(finding)))
    asyncio.run(diagnosis.make())
    verdicts = [finding.verdict for finding in diagnosis.findings]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    click.echo(f"{len(verdicts)} checks: {counts}")
    if not diagnosis.is_well:
        sys.exit(1)


def _run(command: list[str], make_app: Callable[[], Shell], place: _Place, *, extra: str, words: str) -> None:
    """In this process; or as one of a parent's workers; or as their parent."""

    def announce(url: str) -> None:
        click.echo(words.format(url))

    try:
        with _needing(extra, f"streamsink {command[0]}"):
            from streamsink.hosts.serve import serve as serve_alone
            from streamsink.hosts.serve import serve_on
            from streamsink.hosts.workers import Inherited, run_workers
        if place.worker is not None:
            with Inherited(*place.worker) as inherited:
                serve_on(inherited.listener, make_app(), on_started=inherited.tell_started)
        elif place.workers > 1:
            again = [sys.executable, "-P", "-m", "streamsink", *command]
            run_workers(again, count=place.workers, host=place.host, port=place.port, announce=announce)
        else:
            serve_alone(make_app(), host=place.host, port=place.port, announce=announce)
    except (StreamSinkError, OSError) as error:  # the latter: the port is taken
        raise click.ClickException(str(error)) from error


@contextmanager
def _development_valkey() -> Iterator[None]:
    from streamsink.demo.valkey import development_valkey

    try:
        with development_valkey(os.environ):
            click.echo("With a Valkey for development: everything in it ends with this command.", err=True)
            yield
    except StreamSinkError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _needing(extra: str, purpose: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(purpose, extra) from error


def load_agents(where: str) -> Sequence[SupportsAgentRun] | Mapping[str, SupportsAgentRun]:
    """The agents at ``module:attribute``.

    Raises:
        SettingsError: there is no such module or attribute.
    """
    module_name, _, attribute = where.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise SettingsError("AGENTS", f"module:attribute of an agent; {where!r} names no module")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  as every server does that is given module:attribute
    try:
        found: Any = getattr(importlib.import_module(module_name), attribute or "agents")
    except (ImportError, AttributeError) as error:
        raise SettingsError("AGENTS", f"module:attribute of an agent; {where!r} cannot be loaded: {error}") from error
    if callable(found) and not hasattr(found, "run"):
        found = found()
    return cast("Sequence[SupportsAgentRun]", found if isinstance(found, (Mapping, list, tuple)) else [found])
