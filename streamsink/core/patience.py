"""Patience with a store that cannot be reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from streamsink.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamsink.core.sink import StreamSink

__all__ = ["persist"]

_T = TypeVar("_T")

_FIRST_RETRY_S: Final = 0.05
_LONGEST_RETRY_S: Final = 2.0


async def persist(sink: StreamSink, call: Callable[[], Awaitable[_T]]) -> _T:
    """What ``call``, which may be made again, answers. It is repeated while the store cannot be reached.

    Raises:
        UnavailableError: the store could not be reached for ``PublishOptions.give_up_s``.
    """
    loop, patience_s = asyncio.get_running_loop(), sink.options.give_up_s
    give_up_at, delay_s = loop.time() + patience_s, _FIRST_RETRY_S
    while True:
        began_at = loop.time()
        try:
            return await call()
        except UnavailableError:
            if loop.time() - began_at > patience_s:  # it waited for something else, and the store was there meanwhile
                give_up_at, delay_s = loop.time() + patience_s, _FIRST_RETRY_S
            if loop.time() + delay_s > give_up_at:
                raise
            await asyncio.sleep(sink.runtime.jittered(delay_s))
            delay_s = min(delay_s * 2, _LONGEST_RETRY_S)
