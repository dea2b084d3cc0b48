"""The three tools, called as the framework calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.demo.tools import TOOLS, book_trip, get_local_events, get_weather_forecast

if TYPE_CHECKING:
    from agent_framework import FunctionTool


async def call(tool: FunctionTool, destination: str, date: str) -> str:
    (content,) = await tool.invoke(arguments={"destination": destination, "date": date})
    return str(content.text)


def high(forecast: str) -> int:
    return int(forecast.split(", ")[-2].split(" ")[0])


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
async def test_the_same_question_has_the_same_answer(tool: FunctionTool) -> None:
    first, second = [await call(tool, "Lisbon", "2026-05-12") for _ in range(2)]

    assert first == second
    assert "Lisbon" in first
    assert "2026-05-12" in first


async def test_the_weather_knows_the_season_and_the_hemisphere() -> None:
    assert high(await call(get_weather_forecast, "Oslo", "2026-07-15")) > high(
        await call(get_weather_forecast, "Oslo", "2026-01-15")
    )
    assert high(await call(get_weather_forecast, "Sydney", "2026-07-15")) < high(
        await call(get_weather_forecast, "Sydney", "2026-01-15")
    )


async def test_frost_comes_with_a_clear_sky() -> None:
    assert "frosty" in await call(get_weather_forecast, "Toronto", "2026-01-15")


async def test_a_date_in_words_gets_a_mild_day() -> None:
    assert abs(high(await call(get_weather_forecast, "Lisbon", "some day in May")) - 19) <= 2


async def test_events_are_three_different_ones() -> None:
    events = (await call(get_local_events, "Anywhere", "2026-05-12")).split(": ")[1].split("; ")

    assert len(set(events)) == 3


def test_only_the_booking_asks_for_approval() -> None:
    assert [tool.name for tool in TOOLS if tool.approval_mode == "always_require"] == [book_trip.name]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_parameter_is_described_for_the_model(tool: FunctionTool) -> None:
    properties = tool.parameters()["properties"]

    assert list(properties) == ["destination", "date"]
    assert all(parameter["description"] for parameter in properties.values())
