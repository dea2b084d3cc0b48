"""How runs ended whose end a reader has missed, where no history can tell (docs/protocol.md, "Without history")."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streamsink.core.endings import message_of
from streamsink.core.errors import InvalidRequestError
from streamsink.core.events import AGENT_DONE, Envelope, Terminal
from streamsink.core.names import CORRELATION_ID
from streamsink.hosts.responses import response_text

if TYPE_CHECKING:
    from streamsink.core.runs import Run
    from streamsink.core.sink import StreamSink

__all__ = ["ended_runs", "read_open"]

_MAX_OPEN: Final = 50
_FAILED: Final = "The agent could not complete its answer."


def read_open(value: object) -> list[str]:
    """The runs that a reader takes for open.

    Raises:
        InvalidRequestError: it is no list of run ids, or a longer one than anybody may show.
    """
    if not isinstance(value, list) or len(value) > _MAX_OPEN:
        raise InvalidRequestError(f"open should be a list of at most {_MAX_OPEN} correlation ids")
    return [CORRELATION_ID.validate(each) for each in value]


async def ended_runs(sink: StreamSink, thread: str, correlation_ids: list[str]) -> list[dict[str, Any]]:
    """The ends of those that are known to be over, as events without a place."""
    runs = [await sink.get_run(thread, each) for each in correlation_ids]
    at_ms = sink.runtime.now_ms()
    return [
        {"target": AGENT_DONE, "data": _done(thread, run, run.terminal, at_ms)}
        for run in runs
        if run is not None and run.terminal is not None
    ]


def _done(thread: str, run: Run, terminal: Terminal, at_ms: int) -> msgspec.Raw:
    """Its ``agentDone``; with the whole text, which the reader may have missed."""
    fields: dict[str, Any] = {"status": terminal.status}
    if terminal.code is not None:
        fields["error"] = {"code": terminal.code, "message": message_of(terminal) or _FAILED}
    with suppress(msgspec.DecodeError, KeyError, TypeError):  # a publisher's own response says what it likes
        if terminal.response is not None:
            fields["text"] = response_text(terminal)
    envelope = Envelope(thread, run.correlation_id, run.agent_name)
    return msgspec.Raw(envelope.record(AGENT_DONE, attempt=run.attempt, at_ms=at_ms, fields=fields).body)
