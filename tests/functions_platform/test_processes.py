"""Workers in processes of their own, which end when a test says so."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.functions_platform import FunctionsPlatform, ProcessWorker, WorkerDiedError

SCRIPT: Final = Path(__file__).parent / "scripts" / "plain_app.py"
RUN: Final = "/api/agents/Echo/run"
PARAMS: Final = {"thread_id": "t"}

pytestmark = pytest.mark.service


async def post(platform: FunctionsPlatform, **body: object) -> httpx.Response:
    headers = {"x-functions-key": platform.function_key}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=20) as http:
        return await http.post(RUN, params=PARAMS, json=body)


async def test_a_process_runs_an_agent() -> None:
    async with FunctionsPlatform(ProcessWorker(SCRIPT)) as platform:
        answer = await post(platform, message="hello")
        status = await platform.orchestrate("fail")

    assert (answer.status_code, answer.json()["response"]) == (200, "1 hello")
    assert status["output"].count("not this") == 1


async def test_a_batch_outlives_the_worker_that_was_killed_in_it() -> None:
    dying = ProcessWorker(SCRIPT, env={"HANG": "1"})
    async with FunctionsPlatform(dying) as platform:
        accepted = await post(platform, message="hello", wait_for_response=False)
        await platform.executing("dafx-Echo", "t")
        await dying.kill()
        await platform.add_worker(ProcessWorker(SCRIPT))
        await platform.executing("dafx-Echo", "t", batch=2)
        state = await platform.entity_state("dafx-Echo", "t")

    assert accepted.status_code == 202
    assert [entry["$type"] for entry in state["data"]["conversationHistory"]] == ["request", "response"]


async def test_a_request_dies_with_its_worker() -> None:
    dying = ProcessWorker(SCRIPT)
    async with FunctionsPlatform(dying, timeout_s=0.2) as platform:
        await dying.kill()
        answer = await post(platform, message="hello")

    assert answer.status_code == 503


async def test_a_script_that_cannot_be_imported_is_no_worker(tmp_path: Path) -> None:
    broken = tmp_path / "broken_app.py"
    broken.write_text("raise RuntimeError('a setting is missing')")

    with pytest.raises(WorkerDiedError):
        async with FunctionsPlatform(ProcessWorker(broken)):
            pass
