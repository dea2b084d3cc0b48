"""The self-hosted ASGI app: API, page and gateway, alone or mounted into somebody else's app.

::

    streams = StreamApp([agent], identify=my_login)

    @asynccontextmanager
    async def lifespan(app):
        async with streams.running():
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/chat", streams)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from streamsink.core.errors import InvalidRequestError, SettingsError
from streamsink.core.names import AGENT_NAME
from streamsink.hosts.agents import check_shareable
from streamsink.hosts.assembly import assemble
from streamsink.hosts.background import BackgroundHost
from streamsink.hosts.requests import is_https
from streamsink.hosts.shell import Shell
from streamsink.plugins import create_plugin_manager, load_settings

if TYPE_CHECKING:
    from agent_framework import SupportsAgentRun

    from streamsink.core.identity import Authorize, Identify
    from streamsink.core.settings import Settings
    from streamsink.core.sink import StreamSink
    from streamsink.hosts.sessions import Sessions

__all__ = ["StreamApp"]


class StreamApp(Shell):
    """An ASGI application.

    Served alone, it runs with the server's lifespan. Mounted, the outer app enters ``running()`` in its own
    lifespan, since mounting does not run the lifespan of what is mounted.

    Args:
        agents: to be asked for under their names; or by the names that a mapping gives them.
        settings: None: from the environment.
        identify: who is calling; None: as the settings say.
        authorize: what they may do; None: owners, ticket holders and services.
        sink: made by the caller, who closes it; None: the one that the settings ask for.
        sessions: where agents' sessions wait between turns; None: where the backend keeps them for every node, or in
            this process.

    Raises:
        SettingsError: a setting is missing or wrong, or two agents have one name.
    """

    def __init__(
        self,
        agents: Sequence[SupportsAgentRun] | Mapping[str, SupportsAgentRun],
        *,
        settings: Settings | None = None,
        identify: Identify | None = None,
        authorize: Authorize | None = None,
        sink: StreamSink | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        super().__init__(settings or load_settings(os.environ, create_plugin_manager()))
        self._agents = _by_name(agents)
        self._identify = identify
        self._authorize = authorize
        self._sink = sink
        self._sessions = sessions

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StreamSink]:
        """Serve while inside; gives the sink, for the app's own publishing.

        Leaving drains: nothing more is accepted, runs end or are ended visibly, clients are told to reconnect.
        """
        async with (
            assemble(
                self._settings,
                make_host=self._host,
                identify=self._identify,
                authorize=self._authorize,
                sink=self._sink,
                is_secure=is_https,
            ) as assembly,
            self._serving(assembly.sink, assembly.api, assembly.drain),
        ):
            yield assembly.sink

    def _host(self, sink: StreamSink) -> BackgroundHost:
        return BackgroundHost(
            sink,
            self._agents,
            sessions=self._sessions,
            time_limit_s=self._settings.times.run_timeout_s,
            queue_timeout_s=self._settings.times.queue_timeout_s,
            max_runs_per_user=self._settings.limits.max_runs_per_user,
            max_runs=self._settings.limits.max_runs,
        )


def _by_name(agents: Sequence[SupportsAgentRun] | Mapping[str, SupportsAgentRun]) -> dict[str, SupportsAgentRun]:
    named = (
        list(agents.items()) if isinstance(agents, Mapping) else [(agent.name or agent.id, agent) for agent in agents]
    )
    for _, agent in named:
        check_shareable(agent)
    try:
        by_name = {AGENT_NAME.validate(name): agent for name, agent in named}
    except InvalidRequestError as error:
        raise SettingsError("AGENTS", f"agents that can be asked for: {error}") from error
    if len(by_name) < len(named):
        raise SettingsError("AGENTS", "agents of different names; give them other names with a mapping")
    return by_name
