"""Callbacks of the app's own are called beside the stream, as without us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsink.demo.scripted import Text
from tests.hosts.support import Model, make_agent, said

from .support import on_agent_loop, running_site

if TYPE_CHECKING:
    import pytest
    from agent_framework import AgentResponse, AgentResponseUpdate
    from agent_framework_durabletask import AgentCallbackContext


class Callback:
    """Remembers what it is told, with whom it is about.

    Args:
        error: raised by every call.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.updates: list[str] = []
        self.responses: list[str] = []
        self.about: list[tuple[str, str | None, str, str | None]] = []
        self._error = error

    async def on_streaming_response_update(self, update: AgentResponseUpdate, context: AgentCallbackContext) -> None:
        self.updates.append(update.text)
        self._note(context)

    async def on_agent_response(self, response: AgentResponse[Any], context: AgentCallbackContext) -> None:
        self.responses.append(response.text)
        self._note(context)

    def _note(self, context: AgentCallbackContext) -> None:
        self.about.append((context.agent_name, context.session_id, context.correlation_id, context.request_message))
        if self._error is not None:
            raise self._error


@on_agent_loop
async def test_it_is_given_every_update_and_the_response_of_the_run_that_is_streamed() -> None:
    callback = Callback()
    async with running_site(default_callback=callback) as site:
        thread = await site.thread()
        accepted = (await site.run(thread, "Hi")).json()
        await site.done(thread)
        await site.platform.idle()

        assert callback.responses == ["Hello there"]
        assert "".join(callback.updates) == "Hello there" == said(await site.events(thread))
        assert len(callback.about) == len(callback.updates) + 1 > 2
        assert set(callback.about) == {("Robot", thread, accepted["correlation_id"], "Hi")}


@on_agent_loop
async def test_an_agents_own_goes_before_that_of_the_app() -> None:
    apps, own = Callback(), Callback()

    def extend(app: Any) -> None:
        app.add_agent(make_agent("Mine", name="Other"), own)

    async with running_site(default_callback=apps, extend=extend) as site:
        assert await site.ask(await site.thread(), agent="Other") == "Mine"
        assert await site.ask(await site.thread()) == "Hello there"
        await site.platform.idle()

        assert (own.responses, apps.responses) == (["Mine"], ["Hello there"])


@on_agent_loop
async def test_what_it_raises_does_not_hurt_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """The framework logs it; the model is asked once."""
    callback, model = Callback(ValueError("of the callback")), Model([Text("Hello there")])
    async with running_site(make_agent(model), default_callback=callback) as site:
        thread = await site.thread()

        assert await site.ask(thread) == "Hello there"
        await site.platform.idle()  # the callback hears of the response after the run has its terminal
        assert await site.done(thread) == [("completed", None)]
        assert said(await site.events(thread)) == "Hello there"
        assert (callback.responses, len(model.heard)) == (["Hello there"], 1)
        assert len(await site.state(thread)) == 2
    assert "of the callback" in caplog.text


@on_agent_loop
async def test_it_hears_no_response_of_a_run_that_fails() -> None:
    callback = Callback()
    async with running_site(make_agent(Model([Text("Hel"), ConnectionError()])), default_callback=callback) as site:
        thread = await site.thread()
        await site.run(thread)

        assert await site.done(thread) == [("failed", "agent_error")]
        await site.platform.idle()
        assert ("".join(callback.updates), callback.responses) == ("Hel", [])
