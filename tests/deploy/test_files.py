"""What is shipped for deployments, as far as it can be checked without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamsink.core.settings import Settings
from streamsink.core.variables import variable_names
from streamsink.plugins import backends, create_plugin_manager, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGES = [DEPLOY / "compose.yaml", DEPLOY / "nginx.conf", ROOT / "docs" / "deploy.md"]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return loaded


def known() -> frozenset[str]:
    specs = backends(create_plugin_manager()).values()
    return variable_names(Settings).union(*(variable_names(spec.settings) for spec in specs if spec.settings))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"\bSTREAM_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))

    assert named
    assert not named - known()


def test_the_nodes_settings_are_valid() -> None:
    nodes = [service for service in compose()["services"].values() if service.get("image") == "streamsink"]
    assert len(nodes) == 2
    for node in nodes:
        environ = {name: _filled_in(value) for name, value in node["environment"].items()}
        settings = load_settings(environ, create_plugin_manager())

        assert settings.backend == "redis"
        grace_s = float(node["stop_grace_period"].removesuffix("s"))
        assert grace_s >= settings.times.drain_s + 20


def _filled_in(value: str) -> str:
    """As compose does, with every required variable set."""
    value = re.sub(r"\$\{\w+:\?[^}]*\}", "x" * 40, value)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_no_secret_is_in_any_file() -> None:
    environment = compose()["services"]["node1"]["environment"]

    assert environment["STREAM_SECRET"].startswith("${STREAM_SECRET:?")
    assert "STREAM_SECRET" not in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_services_that_are_named_exist() -> None:
    services = compose()["services"]
    upstreams = re.findall(r"server (\w+):7071", (DEPLOY / "nginx.conf").read_text("utf-8"))

    assert set(upstreams) <= set(services)
    assert all(set(service.get("depends_on", ())) <= set(services) for service in services.values())
    for volume in services["nginx"]["volumes"]:
        assert (DEPLOY / volume.split(":")[0]).exists()
    build = services["node1"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


def copies() -> list[tuple[list[str], str]]:
    """What the Dockerfile copies from the checkout, and where to."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return [(words[:-1], words[-1]) for words in (line.split() for line in lines)]


def test_what_the_image_is_made_of_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split() if line[0] == "!"}
    sources = {source for names, _ in copies() for source in names}

    assert sources
    assert all((ROOT / source).exists() for source in sources)
    assert {source.partition("/")[0] for source in sources} == kept


def test_the_image_does_not_run_as_root() -> None:
    last_stage = (DEPLOY / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]

    assert re.search(r"^USER (?!0|root)", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage


@pytest.mark.service
def test_what_is_copied_is_all_that_the_package_needs(tmp_path: Path) -> None:
    """And the libraries that the first stage makes."""
    context = tmp_path / "context"
    for names, target in copies():
        for name in names:
            folder = context / target if target.endswith("/") else (context / target).parent
            folder.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, context / target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
                )
            else:
                shutil.copy(ROOT / name, folder)

    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(context),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert built.returncode == 0, built.stderr
