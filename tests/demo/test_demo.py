"""The package's front door, `streamsink.demo:agents`."""

from __future__ import annotations

import sys

import pytest

from streamsink.demo import DemoSetupError, agents


@pytest.fixture(autouse=True)
def _no_model_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})


def test_the_demo_has_one_agent() -> None:
    assert [agent.name for agent in agents()] == ["TravelPlanner"]


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Make `module` look as if it were not installed, to a first import of the planner."""
    monkeypatch.delitem(sys.modules, "streamsink.demo.travel_planner", raising=False)
    monkeypatch.setitem(sys.modules, module, None)


def test_without_the_framework_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "agent_framework")

    with pytest.raises(DemoSetupError, match=r"pip install 'streamsink\[demo\]'"):
        agents()


def test_any_other_missing_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "streamsink.demo.answers")

    with pytest.raises(ModuleNotFoundError, match=r"streamsink\.demo\.answers"):
        agents()
