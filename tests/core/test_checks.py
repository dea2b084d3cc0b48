"""Checks, and what comes of them."""

from __future__ import annotations

import asyncio

from streamsink.core.checks import Check, Doubt, Finding, examine
from streamsink.core.errors import UnavailableError
from streamsink.testing.clock import virtual_time


async def fine() -> str:
    return "works"


async def doubtful() -> Doubt:
    return Doubt("works, slowly", "be patient")


async def broken() -> str:
    raise UnavailableError("it is away")


async def foreign() -> str:
    raise ValueError("key=secret")


async def stuck() -> str:
    await asyncio.Event().wait()
    return "never"


async def looked(*checks: Check) -> list[Finding]:
    return [finding async for finding in examine(checks, look_s=5)]


async def test_what_is_found_is_said() -> None:
    assert await looked(
        Check(name="a", look=fine, advice="none"),
        Check(name="b", look=doubtful),
        Check(name="c", look=broken, advice="start it"),
    ) == [
        Finding("ok", "a", "works"),
        Finding("note", "b", "works, slowly", "be patient"),
        Finding("failed", "c", "it is away", "start it"),
    ]


async def test_what_needs_a_failure_is_skipped_and_so_is_what_needs_that() -> None:
    findings = await looked(
        Check(name="a", look=broken),
        Check(name="b", look=fine, needs=("a",)),
        Check(name="c", look=fine, needs=("b",)),
        Check(name="d", look=fine),
    )

    assert [(each.verdict, each.text) for each in findings] == [
        ("failed", "it is away"),
        ("skipped", "needs: a"),
        ("skipped", "needs: b"),
        ("ok", "works"),
    ]


async def test_of_a_foreign_error_only_its_type_is_told() -> None:
    assert await looked(Check(name="a", look=foreign)) == [Finding("failed", "a", "ValueError")]


@virtual_time
async def test_each_has_its_time() -> None:
    assert await looked(Check(name="a", look=stuck, advice="look there")) == [
        Finding("failed", "a", "nothing within 5 s", "look there")
    ]
