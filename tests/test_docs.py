"""The documentation says what the code has: hooks, targets, calls, links."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from streamsink import plugins
from streamsink.core import events
from streamsink.core.settings import Settings
from streamsink.core.variables import variable_names
from streamsink.hosts.assembly import assemble
from streamsink.hosts.background import BackgroundHost

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/azure_functions/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_every_hook_and_every_field_of_an_offer_is_documented() -> None:
    page = read("docs/plugins.md")
    hooks = [name for name in vars(plugins.Hooks) if name.startswith("streamsink_")]
    names = {field.name for offer in (plugins.BackendSpec, plugins.TimelineSpec) for field in fields(offer)}

    assert hooks
    assert not [name for name in (*hooks, *names) if name not in page]


def test_every_target_is_documented() -> None:
    page = read("docs/protocol.md")
    targets = [getattr(events, name) for name in events.__all__ if name.isupper()]

    assert len(targets) >= 11
    assert not [target for target in targets if f"`{target}`" not in page]


async def test_every_call_is_documented() -> None:
    page = read("docs/http.md")
    async with assemble(Settings(), make_host=lambda sink: BackgroundHost(sink, {})) as assembly:
        routes = [(route.method, re.sub(r"\{(\w+)(:path)?\}", r"{\1}", route.path)) for route in assembly.api.routes]

    assert len(routes) >= 14
    for method, path in routes:
        short = path.replace("/{path}", "/…")
        assert method in page
        assert short in page or short.removeprefix("/api") in page, path


def test_the_settings_that_the_functions_page_names_are_there() -> None:
    manager = plugins.create_plugin_manager()
    offers: list[Any] = [*plugins.backends(manager).values(), *plugins.timelines(manager).values()]
    owners = [Settings, *(offer.settings for offer in offers if offer.settings is not None)]
    names = set(re.findall(r"STREAM_[A-Z_]+[A-Z]", read("docs/functions.md")))

    assert len(names) >= 10
    assert names <= set().union(*map(variable_names, owners))


def test_the_code_on_the_functions_page_is_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", read("docs/functions.md"), re.DOTALL)

    assert len(blocks) >= 4
    for block in blocks:
        compile(block, "docs/functions.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))

    assert not [target for target in targets if not (page.parent / target).exists()]
