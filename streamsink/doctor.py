"""``streamsink doctor``: looks at everything that a configured deployment depends on."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from streamsink.core.checks import Check, Doubt, Finding, examine
from streamsink.core.errors import StreamSinkError, UnavailableError
from streamsink.opening import open_sink, with_secret
from streamsink.plugins import BackendContext, create_plugin_manager, find_backend, load_settings, timelines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streamsink.core.sink import StreamSink
    from streamsink.plugins import BackendSpec, TimelineSpec

__all__ = ["Diagnosis", "lines"]

_ANSWER: Final = "Is everything well?"


class Diagnosis:
    """Looks, and says each finding as it comes.

    Args:
        environ: as of the processes that are to be looked after.
        say: given each finding. None of them has a secret.

    Attributes:
        findings: every one so far.
    """

    def __init__(self, environ: Mapping[str, str], say: Callable[[Finding], None]) -> None:
        self._environ = environ
        self._say = say
        self.findings: list[Finding] = []

    @property
    def is_well(self) -> bool:
        """Whether nothing has failed."""
        return all(finding.verdict != "failed" for finding in self.findings)

    async def make(self) -> None:
        """Look at the settings; at what the backend and the history say of themselves; at a run, from its first word
        to its deletion."""
        try:
            context, offers = self._configured()
        except StreamSinkError as error:
            self._add(Finding("failed", "settings", str(error), "set the variable as it says; docs/settings.md"))
            return
        for offer in offers:
            await self._look_at(offer, context)
        await self._look_at_the_sink(context)

    def _configured(self) -> tuple[BackendContext, Sequence[BackendSpec | TimelineSpec]]:
        manager = create_plugin_manager()
        settings = with_secret(load_settings(self._environ, manager))
        backend, histories = find_backend(manager, settings.backend), timelines(manager)
        context = BackendContext(settings=settings, environ=self._environ, timelines=histories)
        name = settings.history or backend.history
        history = histories.get(name) if name is not None and name != backend.name else None
        place = f", history `{name}`" if name is not None else ""
        self._add(Finding("ok", "settings", f"backend `{backend.name}`{place}"))
        return context, [backend] if history is None else [backend, history]

    async def _look_at(self, offer: BackendSpec | TimelineSpec, context: BackendContext) -> None:
        async with AsyncExitStack() as stack:
            try:
                checks = await stack.enter_async_context(offer.open_checks(context))
            except StreamSinkError as error:
                self._add(Finding("failed", offer.name, str(error)))
                return
            await self._examine(checks)

    async def _look_at_the_sink(self, context: BackendContext) -> None:
        try:
            sink = open_sink(context.settings, environ=self._environ)
        except StreamSinkError as error:
            self._add(Finding("failed", "sink", str(error)))
            return
        async with sink:
            await self._examine(_sink_checks(sink))

    async def _examine(self, checks: Sequence[Check]) -> None:
        async for finding in examine(checks):
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._say(finding)


def _sink_checks(sink: StreamSink) -> list[Check]:
    thread = f"doctor-{sink.runtime.new_id()}"

    async def ready() -> str:
        await sink.check()
        return "it can deliver"

    async def run() -> str:
        terminal = await sink.publish(thread, ["All is ", "well."], agent="doctor", message=_ANSWER)
        if terminal.status != "completed":
            raise UnavailableError(f"a run that says two words ended {terminal.status}")
        return "published and ended"

    async def replay() -> str | Doubt:
        if not sink.keeps_history:
            return Doubt("none is kept", "set STREAM_HISTORY, unless that is wanted; docs/history.md says what is lost")
        page = await sink.read(thread, None, limit=100, max_bytes=1_000_000)
        if not page.events or page.head is None:
            raise UnavailableError("what was published cannot be read")
        return f"{len(page.events)} events of it can be read"

    async def deletion() -> str:
        await sink.delete(thread)
        return "nothing of it is left"

    logs = "the message says what is wrong; the page of the backend in docs/ has more"
    return [
        Check(name="readiness", look=ready, advice=logs),
        Check(name="a run", look=run, advice=logs, needs=("readiness",)),
        Check(name="its history", look=replay, advice=logs, needs=("a run",)),
        Check(name="its deletion", look=deletion, advice=logs, needs=("readiness",)),
    ]


def lines(finding: Finding) -> str:
    """A finding for a terminal."""
    first = f"{finding.verdict:<8}{finding.name}: {finding.text}"
    return f"{first}\n        -> {finding.advice}" if finding.advice else first
