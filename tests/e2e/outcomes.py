"""What people saw, compared with what they were told."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.e2e.world import said, story

__all__ = ["faults_of", "outcomes", "prompts_of"]


def prompts_of(person: int, count: int) -> list[str]:
    """What somebody asks."""
    return [f"p{person}{chr(ord('a') + i)}" for i in range(count)]


def faults_of(results: list[dict[str, Any]]) -> dict[str, int]:
    """Compare every tab's words with what was told. Of an answer that ended early they are its beginning."""
    lost = doubled = reordered = answers = 0
    for i, result in enumerate(results):
        for state in result["states"]:
            for run, prompt, text in zip(state["runs"], prompts_of(i, len(state["runs"])), said(state), strict=True):
                words, told = text.split(), story(prompt).split()
                told = told if run["status"] == "completed" else told[: len(words)]
                answers += 1
                lost += len(set(told) - set(words))
                doubled += len(words) - len(set(words))
                reordered += sum(a != b for a, b in zip([w for w in told if w in set(words)], words, strict=False))
    rewritten = sum(sum(result["rewritten"]) for result in results)
    return {"answers": answers, "lost": lost, "doubled": doubled, "reordered": reordered, "rewritten": rewritten}


def outcomes(results: list[dict[str, Any]]) -> dict[str, Any]:
    """How runs ended, and how tabs that were there all the time differ from a reload, in what they show or say."""
    ends, differing, told, turned, whole = Counter[str](), 0, Counter[str](), Counter[str](), 0
    for i, result in enumerate(results):
        *tabs, reload = result["states"]
        ends.update(f"{run['status']} {(run['error'] or {}).get('code', '')}".strip() for run in reload["runs"])
        differing += sum(_shown(tab) != _shown(reload) for tab in tabs)
        told.update(status["history"] for status in result["statuses"])
        turned.update(result["turned"])
        answers = zip(reload["runs"], prompts_of(i, len(reload["runs"])), said(reload), strict=True)
        whole += sum(run["status"] == "failed" and text == story(prompt) for run, prompt, text in answers)
    return {
        "ended": dict(ends),
        "failed, but whole": whole,
        "ends that tabs saw change": dict(turned),
        "tabs that differ from a reload": differing,
        "history, as tabs say": dict(told),
    }


def _shown(state: dict[str, Any]) -> list[tuple[str, str]]:
    return [(run["status"], text) for run, text in zip(state["runs"], said(state), strict=True)]
