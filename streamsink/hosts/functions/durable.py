"""Reaching durable entities from wherever a request is handled."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent_framework_durabletask import AgentSessionId, DurableAgentState
from azure.durable_functions import EntityId

from streamsink.core.errors import UnavailableError
from streamsink.hosts.functions.agent_loop import on_loop
from streamsink.hosts.functions.entity_keys import entity_key

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from agent_framework import AgentResponse
    from azure.durable_functions import DurableOrchestrationClient
    from azure.durable_functions.models.EntityStateResponse import EntityStateResponse

__all__ = ["Entities", "current_entities", "reaching"]

# The durable extension listens on this very machine.
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Entities:
    """The agents' entities, through the client of one function invocation.

    Args:
        client: keeps its connections on the loop that it is used on first (azure-functions-durable 1.7.0): always
            the worker's, as in the app's own functions.
        loop: that loop.
    """

    client: DurableOrchestrationClient
    loop: asyncio.AbstractEventLoop

    async def signal(self, agent: str, thread: str, operation: str, content: Any = None) -> None:
        """Have an operation executed later.

        Raises:
            UnavailableError: it is not known that it will be.
        """
        entity = _entity(agent, thread)
        await self._reach(lambda: self.client.signal_entity(entity, operation, content))

    async def response(self, agent: str, thread: str, correlation_id: str) -> AgentResponse[Any] | None:
        """What the entity remembers as the response of a run; None: nothing yet.

        Raises:
            UnavailableError: nobody says.
        """
        entity = _entity(agent, thread)
        found: EntityStateResponse = await self._reach(lambda: self.client.read_entity_state(entity))
        if not found.entity_exists or not isinstance(found.entity_state, dict):
            return None
        return DurableAgentState.from_dict(found.entity_state).try_get_agent_response(correlation_id)

    async def _reach(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await on_loop(self.loop, work)
        except Exception as error:  # the client raises bare ones
            raise UnavailableError("the durable extension cannot be reached; try again") from error


def _entity(agent: str, thread: str) -> EntityId:
    return EntityId(AgentSessionId.to_entity_name(agent), entity_key(thread))


_current: contextvars.ContextVar[Entities] = contextvars.ContextVar("streamsink_entities")


def current_entities() -> Entities:
    """Those that the request being handled can reach.

    Raises:
        UnavailableError: nothing here is a request.
    """
    try:
        return _current.get()
    except LookupError as error:
        raise UnavailableError("durable entities can be reached from functions with a durable client only") from error


@contextmanager
def reaching(entities: Entities) -> Iterator[None]:
    """Be the entities of the request that is handled inside."""
    token = _current.set(entities)
    try:
        yield
    finally:
        _current.reset(token)
