"""The command line: ``streamsink serve``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from streamsink.core.errors import MissingExtraError, SettingsError, StreamSinkError

if TYPE_CHECKING:
    from agent_framework import SupportsAgentRun

try:
    import click
except ModuleNotFoundError:  # the command exists, what it needs may not
    sys.exit(str(MissingExtraError("the streamsink command", "asgi")))

__all__ = ["load_agents", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamsink")
def main() -> None:
    """Agent answers, token by token, in the right person's browser."""


@main.command()
@click.argument("agents", default="streamsink.demo:agents")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    envvar="PORT",
    default=7071,
    show_default=True,
    help="0: a free one.",
)
def serve(agents: str, host: str, port: int) -> None:
    """Serve AGENTS, given as module:attribute: an agent, several, or a function that makes them.

    Without AGENTS, the TravelPlanner: offline, or on OPENAI_* or AZURE_OPENAI_* when these are set.
    """
    try:
        _serve(agents, host, port)
    except (StreamSinkError, OSError) as error:  # the latter: the port is taken
        raise click.ClickException(str(error)) from error


def _serve(agents: str, host: str, port: int) -> None:
    try:
        from streamsink.hosts.serve import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtraError("streamsink serve", "demo") from error
    run(load_agents(agents), host=host, port=port, announce=lambda url: click.echo(f"Open {url}/api/index"))


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
