"""What is public is meant to be: pinned, sorted, real, and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import streamsink

ROOT = Path(streamsink.__file__).parent
PUBLIC = sorted(
    ".".join(("streamsink", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if "__all__" in {
        target.id
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
)  # fmt: skip


def test_the_packages_own_names_are_these() -> None:
    assert streamsink.__all__ == [
        "Action",
        "PublishOptions",
        "Request",
        "RunPublisher",
        "Settings",
        "StreamSink",
        "StreamSinkError",
        "SyncSink",
        "User",
        "current_run",
        "open_sink",
    ]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_sorted_real_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    names = module.__all__

    assert inspect.getdoc(module)
    assert names == sorted(names, key=_as_ruff_sorts)
    assert len(names) == len(set(names))
    for public in names:
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{public} has no docstring"


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest (RUF022)."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_every_module_of_the_core_says_what_is_public() -> None:
    modules = {f"streamsink.core.{path.stem}" for path in (ROOT / "core").glob("*.py")} - {"streamsink.core.__init__"}

    assert modules <= set(PUBLIC)
