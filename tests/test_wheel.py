"""The built wheel: whoever installs it needs neither Node nor a CDN."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[1]
SOURCES = ("streamsink", "scripts", "pyproject.toml", "README.md", "LICENSE")


def build(root: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(target), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_wheel_has_the_page_and_its_libraries(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path)

    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    vendor = "streamsink/static/vendor"
    assert {
        "streamsink/py.typed",
        "streamsink/static/index.html",
        "streamsink/static/client/index.js",
        f"{vendor}/signalr.min.js",
        f"{vendor}/marked.esm.js",
        f"{vendor}/purify.es.mjs",
        f"{vendor}/signalr.LICENSE.txt",
    } <= names


def test_a_wheel_without_the_libraries_is_not_built(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
        else:
            shutil.copy(source, copy / name)

    built = build(copy, tmp_path / "dist")

    assert built.returncode != 0
    assert "npm ci && npm run vendor" in built.stdout + built.stderr
