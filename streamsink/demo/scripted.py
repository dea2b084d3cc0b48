"""A chat client of Microsoft Agent Framework that speaks from a script: no key, no network, no chance.

The *script* is called once per model call with the messages so far and answers with a `Reply`. Everything
around it is the real framework: tools run, approvals stop the run, sessions remember.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatOptions,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    ResponseStream,
    UsageDetails,
)

__all__ = [
    "Pause",
    "Reasoning",
    "Reply",
    "Script",
    "ScriptedChatClient",
    "Step",
    "Text",
    "ToolCall",
    "in_turn",
    "tokens",
]

_ARGUMENT_FRAGMENT_CHARACTERS = 8


@dataclass(frozen=True)
class Text:
    """Words of the answer. With `replace` they come as one update and supersede the reply's text so far."""

    text: str
    replace: bool = False


@dataclass(frozen=True)
class Reasoning:
    """Words that the model thinks aloud."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A request to run a tool; without a `call_id` it gets one of its own."""

    name: str
    arguments: Mapping[str, object]
    call_id: str | None = None


@dataclass(frozen=True)
class Pause:
    """The model says nothing until `until()` has returned; a test passes the `wait` of its event."""

    until: Callable[[], Awaitable[object]]


#: An exception is raised at its place: first, half-way or last in a reply.
Step: TypeAlias = Text | Reasoning | ToolCall | Pause | Exception
Reply: TypeAlias = Sequence[Step]
Script: TypeAlias = Callable[[Sequence[Message], Mapping[str, Any]], Reply]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


def in_turn(*replies: Reply) -> Script:
    """Return the script that gives `replies` one after another, one for each model call.

    Raises (the script, when called): `AssertionError` after the last one, because that call is a surprise.
    """
    remaining = iter(replies)

    def script(messages: Sequence[Message], options: Mapping[str, Any]) -> Reply:
        reply = next(remaining, None)
        if reply is None:
            raise AssertionError(f"The script has {len(replies)} replies and the model was called once more.")
        return reply

    return script


def tokens(text: str) -> list[str]:
    """Split `text` into words, each with the white space before it; joined they are `text` again."""
    return re.findall(r"\s*\S+|\s+", text)


class ScriptedChatClient(
    FunctionInvocationLayer[ChatOptions[None]],
    ChatMiddlewareLayer[ChatOptions[None]],
    BaseChatClient[ChatOptions[None]],
):
    """Says what its script tells it to say: a token every `token_interval_s` seconds, the first one included.

    Every reply is one message: its updates share a `message_id` and a `response_id`, and the last one carries
    the usage (counted in words) and the finish reason. A run that is not streamed keeps the same pace and
    returns the same content. The client holds no state, so runs may overlap; a script may hold some.
    """

    def __init__(
        self,
        script: Script,
        *,
        token_interval_s: float = 0.03,
        sleep: Sleep = asyncio.sleep,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        super().__init__()
        self._script = script
        self._token_interval_s = token_interval_s
        self._sleep = sleep
        self._new_id = new_id

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        updates = self._build_response_stream(self._speak(messages, options))
        return updates if stream else updates.get_final_response()

    async def _speak(
        self, messages: Sequence[Message], options: Mapping[str, Any]
    ) -> AsyncIterator[ChatResponseUpdate]:
        update = partial(
            ChatResponseUpdate,
            role="assistant",
            message_id=self._new_id(),
            response_id=self._new_id(),
            model="scripted",
        )
        spoken: list[Content] = []
        for step in self._script(messages, await self._validate_options(options)):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Pause):
                await step.until()
                continue
            for content in self._contents(step):
                await self._sleep(self._token_interval_s)
                spoken.append(content)
                yield update(contents=[content])
        usage = Content.from_usage(_usage(messages, spoken))
        yield update(contents=[usage], finish_reason=_finish_reason(spoken))

    def _contents(self, step: Text | Reasoning | ToolCall) -> Iterator[Content]:
        if isinstance(step, ToolCall):
            yield from _call_fragments(step, step.call_id or f"call_{self._new_id()}")
        elif isinstance(step, Reasoning):
            yield from (Content.from_text_reasoning(text=token) for token in tokens(step.text))
        elif step.replace:
            yield Content.from_text(step.text, merge_mode="replace")
        else:
            yield from (Content.from_text(token) for token in tokens(step.text))


def _call_fragments(call: ToolCall, call_id: str) -> Iterator[Content]:
    """Yield the call as model services stream it: first its name, then its arguments in pieces of JSON."""
    yield Content.from_function_call(call_id, call.name, arguments="")
    arguments, size = json.dumps(call.arguments, ensure_ascii=False), _ARGUMENT_FRAGMENT_CHARACTERS
    for start in range(0, len(arguments), size):
        yield Content.from_function_call(call_id, "", arguments=arguments[start : start + size])


def _finish_reason(spoken: Sequence[Content]) -> Literal["tool_calls", "stop"]:
    return "tool_calls" if any(content.type == "function_call" for content in spoken) else "stop"


def _usage(messages: Sequence[Message], spoken: Sequence[Content]) -> UsageDetails:
    """Count words as tokens: one per update of the answer, one per word of the question."""
    heard, said = sum(len(tokens(message.text)) for message in messages), len(spoken)
    return UsageDetails(input_token_count=heard, output_token_count=said, total_token_count=heard + said)
