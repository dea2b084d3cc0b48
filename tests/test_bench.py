"""The bench runs outside the tests, in an environment of its own; what it imports from the package must be there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


def imported() -> list[tuple[str, str, str]]:
    """File, module and name of each import from the package."""
    return [
        (path.name, str(node.module), alias.name)
        for path in sorted([*BENCH.glob("*.py"), *BENCH.glob("gateways/*.py")])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("streamsink")
        for alias in node.names
    ]


def test_the_bench_imports_from_the_package() -> None:
    assert len(imported()) > 5


@pytest.mark.parametrize(("file", "module", "name"), imported())
def test_what_the_bench_imports_is_there(file: str, module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), file
