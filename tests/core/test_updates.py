"""What an agent's updates say, as events."""

from __future__ import annotations

import enum
import re
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from agent_framework import AgentResponseUpdate
from agent_framework import Content as FrameworkContent

from streamsink.core.drafts import Texts
from streamsink.core.events import Envelope
from streamsink.core.updates import UpdateReader, as_json_text, plain
from tests.support.rendering import render
from tests.support.updates import Content, call, text, update

ENVELOPE = Envelope("t", "c1", "agent")
SHARED = {"conversationId", "correlationId", "agentName", "attempt", "at"}


class Reading:
    """A reader, and the events that it has made."""

    def __init__(self) -> None:
        self.reader = UpdateReader(Texts())
        self.all: list[tuple[str, dict[str, Any]]] = []

    def read(self, *updates: Any) -> list[tuple[str, dict[str, Any]]]:
        drafts = [draft for each in updates for draft in self.reader.read(each, at_ms=1)]
        records = [record for draft in drafts for record in draft.records(ENVELOPE, 1, 65_536)]
        decoded = [(record.target, msgspec.json.decode(record.body)) for record in records]
        made = [(target, {name: data[name] for name in data if name not in SHARED}) for target, data in decoded]
        self.all += made
        return made


@pytest.fixture
def reading() -> Reading:
    return Reading()


def test_a_string_is_a_piece_of_text(reading: Reading) -> None:
    assert reading.read("a", "", "b") == [
        ("agentMessage", {"messageId": "text-0", "text": "a", "mode": "append", "offset": 0}),
        ("agentMessage", {"messageId": "text-0", "text": "b", "mode": "append", "offset": 1}),
    ]


def test_text_and_reasoning_are_streamed_by_message(reading: Reading) -> None:
    reading.read(
        update(Content("text_reasoning", text="hm "), text("Hel"), message_id="m1"),
        update(Content("text_reasoning", text="hm"), text("lo"), text(""), message_id="m1"),
        update(text("World"), Content("text"), message_id="m2"),
    )

    assert render(reading.all) == {
        ("agentReasoning", "m1"): "hm hm",
        ("agentMessage", "m1"): "Hello",
        ("agentMessage", "m2"): "World",
    }


def test_a_replacing_update_replaces_its_message_once(reading: Reading) -> None:
    reading.read(update(text("draft")), update(text("final "), text("text"), merge_mode="replace"))

    assert render(reading.all) == {("agentMessage", "m1"): "final text"}


def test_a_replacing_content_replaces(reading: Reading) -> None:
    reading.read(update(text("draft")), update(text("final", "replace")), update(text("", "replace")))

    assert render(reading.all) == {("agentMessage", "m1"): ""}


def test_text_without_an_id_begins_another_message_after_something_else(reading: Reading) -> None:
    reading.read(
        update(text("a"), message_id=None),
        update(call("{}", "f"), message_id=None),
        update(text("b"), message_id=None),
    )

    assert render(reading.all) == {
        ("agentMessage", "text-0"): "a",
        ("agentToolCall", "k1"): "{}",
        ("agentMessage", "text-1"): "b",
    }


def test_a_calls_arguments_are_streamed_under_its_first_name(reading: Reading) -> None:
    made = reading.read(
        update(call(None)), update(call('{"a"', "get_weather")), update(call(":1}", "")), update(call("", "other"))
    )

    assert [data["name"] for _, data in made] == ["", "get_weather", "get_weather"]
    assert render(made) == {("agentToolCall", "k1"): '{"a":1}'}


def test_a_calls_arguments_can_be_replaced(reading: Reading) -> None:
    made = reading.read(update(call('{"a"', "f")), update(call({"a": "ü"}, merge_mode="replace")))

    assert render(made) == {("agentToolCall", "k1"): '{"a": "ü"}'}


@pytest.mark.parametrize(("exception", "status"), [(None, "completed"), ("a secret", "failed")])
def test_a_result_says_how_the_tool_ended(reading: Reading, exception: str | None, status: str) -> None:
    made = reading.read(update(Content("function_result", call_id="k1", result={"t": 21}, exception=exception)))

    assert made == [("agentToolResult", {"callId": "k1", "status": status, "result": {"t": 21}})]


def test_what_a_result_holds_beside_text_is_content(reading: Reading) -> None:
    items = [text("Sunny"), Content("uri", uri="https://x/y.png")]

    made = reading.read(update(Content("function_result", call_id="k1", result="Sunny", items=items)))

    assert made[1:] == [("agentContent", {"contentType": "uri", "content": {"uri": "https://x/y.png"}})]


def test_an_approval_shows_what_is_asked(reading: Reading) -> None:
    made = reading.read(
        update(Content("function_approval_request", id="a1", function_call=call({"city": "Rome"}, "book", "k2")))
    )

    arguments = '{"city": "Rome"}'
    assert made == [("agentApproval", {"approvalId": "a1", "callId": "k2", "name": "book", "arguments": arguments})]


def test_an_error_is_shown_without_its_diagnostics(reading: Reading) -> None:
    made = reading.read(update(Content("error", error_code="e1", message="sorry", error_details="a secret")))

    assert made == [("agentContent", {"contentType": "error", "content": {"code": "e1", "message": "sorry"}})]


def test_unknown_contents_are_passed_on(reading: Reading) -> None:
    content = SimpleNamespace(type="hologram", depth=3, nothing=None, raw_representation=object())

    assert reading.read(SimpleNamespace(contents=[content])) == [
        ("agentContent", {"contentType": "hologram", "content": {"depth": 3}})
    ]


def test_usage_adds_up_unless_it_is_the_total(reading: Reading) -> None:
    usages: list[dict[str, Any] | None] = [{"in": 1, "out": 2}, {"out": 3, "model": "m"}, None]

    made = reading.read(*(update(Content("usage", usage_details=said)) for said in usages))

    assert (made, reading.reader.usage) == ([], {"in": 1, "out": 5})
    reading.read(update(Content("usage", usage_details={"in": 9}, merge_mode="replace")))
    assert reading.reader.usage == {"in": 9}


def test_a_lone_surrogate_in_an_answer_does_not_end_it(reading: Reading) -> None:
    """JSON can say one, and tools and models do."""
    lone = "x\ud83d"

    reading.read(
        update(text(lone), message_id=lone),
        update(call(lone, lone, lone)),
        update(Content("function_result", call_id=lone, result={lone: lone})),
        update(Content("function_approval_request", id=lone, function_call=call(lone, lone, lone))),
        update(Content("error", error_code=lone, message=lone)),
        update(Content(lone, id=lone)),
    )

    assert len(reading.all) == 6


class Colour(enum.Enum):
    RED = "red"


class Named(str, enum.Enum):  # noqa: UP042  as Django's choices are
    RED = "red"


class Number(int):
    """As numpy's and Django's."""


class Decimal(float):
    """As numpy's."""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None),
        (True, True),
        (1, 1),
        (2.5, 2.5),
        ("x", "x"),
        (Named.RED, "red"),
        (Number(3), 3),
        (Decimal(2.5), 2.5),
        ({1: (1, "x"), "y": None}, {"1": [1, "x"], "y": None}),
        ([{"a": {4}}, frozenset({5})], [{"a": [4]}, [5]]),
        (SimpleNamespace(to_dict=lambda: {"a": Number(1)}), {"a": 1}),
        (Colour.RED, "Colour.RED"),
        (re.compile("x"), "re.compile('x')"),
    ],
)
def test_anything_can_be_said_in_json(value: Any, said: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(plain(value))) == said


@pytest.mark.parametrize(
    ("arguments", "said"), [(None, ""), ('{"a":', '{"a":'), ({"a": "ü"}, '{"a": "ü"}'), ({"a": {1}}, '{"a": [1]}')]
)
def test_arguments_are_the_text_that_the_model_wrote(arguments: Any, said: str) -> None:
    assert as_json_text(arguments) == said


def test_the_frameworks_own_updates_are_read(reading: Reading) -> None:
    result = FrameworkContent.from_function_result("k1", result="Sunny")
    contents = [
        FrameworkContent.from_text("Hello"),
        FrameworkContent.from_text_reasoning(text="hm"),
        FrameworkContent.from_function_call("k1", "get_weather", arguments={"city": "Rome"}),
        result,
        FrameworkContent.from_uri("https://x/y.png", media_type="image/png"),
        FrameworkContent.from_usage({"input_token_count": 3}),
    ]

    made = reading.read(AgentResponseUpdate(contents=contents, message_id="m1"))

    assert [target for target, _ in made] == [
        "agentMessage", "agentReasoning", "agentToolCall", "agentToolResult", "agentContent",
    ]  # fmt: skip
    assert made[3][1]["result"] == "Sunny"
    assert made[4][1]["content"]["uri"] == "https://x/y.png"
    assert reading.reader.usage == {"input_token_count": 3}
