"""``AgentFunctionApp`` whose agents are streamed: an existing app changes its class name."""

# No postponed annotations here: the worker reads those of the functions.
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, cast

import azure.functions as func
from agent_framework import SupportsAgentRun, Workflow
from agent_framework_azurefunctions import AgentFunctionApp
from agent_framework_durabletask import (
    DEFAULT_MAX_POLL_RETRIES,
    DEFAULT_POLL_INTERVAL_SECONDS,
    AgentResponseCallbackProtocol,
    AgentSessionId,
)

from streamsink.core.errors import InvalidRequestError, SettingsError, StreamSinkError
from streamsink.core.identity import Authorize, Identify, User, resolve
from streamsink.core.names import AGENT_NAME, THREAD_ID
from streamsink.core.settings import Settings
from streamsink.core.sink import StreamSink
from streamsink.hosts import paths
from streamsink.hosts.agents import check_shareable
from streamsink.hosts.assembly import Assembly, Nature, assemble
from streamsink.hosts.functions.agent import EntityAgent
from streamsink.hosts.functions.agent_loop import AgentLoop
from streamsink.hosts.functions.entity import StreamedEntities
from streamsink.hosts.functions.host import EntityHost
from streamsink.hosts.functions.http_functions import HttpFunctions
from streamsink.hosts.functions.parts import Parts
from streamsink.hosts.functions.requests import is_https, neutral_request
from streamsink.hosts.functions.startup import may_have_several_workers, prepared

__all__ = ["StreamFunctionApp"]

_log = logging.getLogger("streamsink")

_EVERY_MINUTE: Final = "0 * * * * *"


class StreamFunctionApp(AgentFunctionApp):
    """An ``AgentFunctionApp`` with Streamsink's HTTP API and page, and agents that are streamed whoever asks them: the
    API, an orchestration, a workflow, an MCP client.

    The framework's own run and health routes are off; everything else of it stays. The positional parameters are its
    own (agent-framework-azurefunctions 1.0.0b260922).

    Args:
        enable_http_endpoints: whether the API offers the agents; ``add_agent`` may say otherwise of one. Agents inside
            workflows are not offered.
        enable_health_check: whether there is ``/api/health``.
        http_auth_level: of the app's own functions and the workflows'. Ours demand no key: a browser has none.
        settings: None: from the environment.
        identify: who is calling; None: as the settings say.
        authorize: what they may do; None: owners, ticket holders and services.
        keep_rerun: keep the framework's second try, without streaming, when a stream fails: tools may run twice. What
            it says replaces what the first one said.

    Raises:
        SettingsError: a setting is missing or wrong, or nothing could be delivered with it from Azure Functions.
        BackendError: the backend is not installed.
    """

    def __init__(
        self,
        agents: list[SupportsAgentRun] | None = None,
        workflow: Workflow | None = None,
        workflows: list[Workflow] | Mapping[str, Workflow] | None = None,
        http_auth_level: func.AuthLevel = func.AuthLevel.FUNCTION,
        enable_health_check: bool = True,
        enable_http_endpoints: bool = True,
        max_poll_retries: int = DEFAULT_MAX_POLL_RETRIES,
        poll_interval_seconds: float = DEFAULT_POLL_INTERVAL_SECONDS,
        enable_mcp_tool_trigger: bool = False,
        default_callback: AgentResponseCallbackProtocol | None = None,
        *,
        settings: Settings | None = None,
        identify: Identify | None = None,
        authorize: Authorize | None = None,
        keep_rerun: bool = False,
    ) -> None:
        self._settings = prepared(settings, os.environ)
        self._several_workers = may_have_several_workers(os.environ)
        self._identify = identify
        self._authorize = authorize
        self._keep_rerun = keep_rerun
        self._offers_agents = enable_http_endpoints
        self._offered: list[str] = []
        self._entities: dict[str, str] = {}
        self._agent_loop = AgentLoop()
        self._parts: Parts[Assembly[EntityHost]] = Parts(self._open)
        self._streamed = StreamedEntities(
            self._parts, self._agent_loop, self._settings.times, several_workers=self._several_workers
        )
        super().__init__(
            agents=agents,
            workflow=workflow,
            workflows=workflows,
            http_auth_level=http_auth_level,
            enable_health_check=False,
            enable_http_endpoints=False,
            max_poll_retries=max_poll_retries,
            poll_interval_seconds=poll_interval_seconds,
            enable_mcp_tool_trigger=enable_mcp_tool_trigger,
            default_callback=default_callback,
        )
        http = HttpFunctions(self._parts, self._agent_loop, self._settings)
        http.add_to(self, without=() if enable_health_check else (paths.HEALTH,))
        self._add_sweep()

    def _open(self) -> AbstractAsyncContextManager[Assembly[EntityHost]]:
        return assemble(
            self._settings,
            make_host=self._make_host,
            nature=Nature(redelivery_s=self._settings.times.redelivery_s, ordered=False, streams=False),
            identify=self._identify,
            authorize=self._authorize,
            is_secure=is_https,
        )

    def _make_host(self, sink: StreamSink) -> EntityHost:
        return EntityHost(
            sink,
            self._settings,
            reachable=lambda: self._offered,
            remembering=lambda: list(self._entities.values()),
            several_workers=self._several_workers,
        )

    def add_agent(
        self,
        agent: SupportsAgentRun,
        callback: AgentResponseCallbackProtocol | None = None,
        enable_http_endpoint: bool | None = None,
        enable_mcp_tool_trigger: bool | None = None,
        *,
        entity_id: str | None = None,
    ) -> None:
        """As the framework's; the agent is streamed.

        Args:
            enable_http_endpoint: whether the API offers it; None: as the app says, and not inside a workflow.

        Raises:
            ValueError: the agent has no name.
            SettingsError: it is to be offered under a name that a URL cannot carry, or is a workflow's own agent.
        """
        check_shareable(agent)
        name = entity_id or getattr(agent, "name", None)
        if name is not None:
            offered = self._offers_agents and entity_id is None
            self._note(name, offered if enable_http_endpoint is None else bool(enable_http_endpoint))
            limit_s = self._settings.times.run_timeout_s
            agent = EntityAgent(agent, time_limit_s=limit_s, keep_rerun=self._keep_rerun)
        super().add_agent(
            agent,
            callback,
            enable_http_endpoint=False,
            enable_mcp_tool_trigger=enable_mcp_tool_trigger,
            entity_id=entity_id,
        )

    def _note(self, name: str, offered: bool) -> None:
        """An agent is about to be added; the framework skips one of a name that there is."""
        if name in self.agents:
            return
        if offered:
            self._offered.append(_valid(name))
        self._entities[AgentSessionId.to_entity_name(name)] = name

    def entity_trigger(self, context_name: str, entity_name: str | None = None) -> Callable[[Any], Any]:
        """As the framework's; the entities of its agents are wrapped."""
        decorate: Callable[[Any], Any] = cast("Any", super()).entity_trigger(context_name, entity_name)
        agent = self._entities.get(entity_name or "")
        if agent is None:
            return decorate
        return lambda function: decorate(self._streamed.wrap(agent, function))

    def _add_sweep(self) -> None:
        """End what nobody executes any more, also where nothing else wakes this app."""

        async def sweep(timer: func.TimerRequest) -> None:
            await self._agent_loop.call(self._sweep)

        schedule = cast("Any", self).timer_trigger(arg_name="timer", schedule=_EVERY_MINUTE, use_monitor=False)
        self.function_name("streamsink-sweep")(schedule(sweep))

    async def _sweep(self) -> None:
        try:
            await (await self._parts.get()).sink.sweep()
        except StreamSinkError as error:
            _log.warning("sweeping failed, trying again: %s", type(error).__name__)

    async def user(self, request: func.HttpRequest) -> User | None:
        """Who calls one of the app's own HTTP functions, known as the API knows its callers; None: nobody known.

        Raises:
            UnauthenticatedError: with a wrong credential.
        """
        neutral = neutral_request(request, self._settings.auth.service_keys)

        async def identified() -> User | None:
            return await resolve((await self._parts.get()).identify(neutral))

        return await self._agent_loop.call(identified)

    async def register(self, thread: str, owner: User) -> None:
        """Let somebody join, read and use a thread that was not made by the API: an orchestration's session, a
        workflow's instance. Before, nobody can. Again, for the same user, is no error.

        Raises:
            InvalidRequestError: it is no thread id.
            ConflictError: it belongs to somebody else.
            UnavailableError: the store cannot be reached.
        """
        THREAD_ID.validate(thread)

        async def registered() -> None:
            await (await self._parts.get()).sink.register(thread, owner.id)

        await self._agent_loop.call(registered)

    async def aclose(self) -> None:
        """Close what has been opened; the platform never does, tests do. Idempotent."""
        await self._agent_loop.call(self._parts.aclose)


def _valid(name: str) -> str:
    try:
        return AGENT_NAME.validate(name)
    except InvalidRequestError as error:
        raise SettingsError("AGENTS", f"agents that can be asked for: {error}") from error
