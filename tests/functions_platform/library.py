"""What a language worker does with a function app: say which functions there are, and call them.

`create_library` takes Microsoft's own worker library (`azure-functions-runtime`) where it is installed, which is
possible from Python 3.13 on; before, the same is done here with the converters of azure-functions.
"""

from __future__ import annotations

import importlib.util
import inspect
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import azure.functions as func

from tests.functions_platform.data import Function, Invocation, Outcome
from tests.functions_platform.datums import from_datum, to_datum

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

__all__ = ["RUNTIME", "DirectLibrary", "Library", "create_library"]

#: Microsoft's worker library is here.
RUNTIME: Final = importlib.util.find_spec("azure_functions_runtime") is not None


class Library(Protocol):
    """Its calls come from the worker's main loop."""

    async def index(self) -> list[Function]: ...

    async def invoke(self, invocation: Invocation, loop: asyncio.AbstractEventLoop) -> Outcome: ...

    def close(self) -> None: ...


def create_library(app: object, *, threads: int = 32, runtime: bool = RUNTIME) -> Library:
    """Return the library that calls `app`'s functions, synchronous ones on up to `threads` threads.

    `app` is a `FunctionRegister`, which type checkers do not see of an `AgentFunctionApp`.
    """
    assert isinstance(app, func.FunctionRegister)
    if runtime:
        from tests.functions_platform.runtime import RuntimeLibrary, index_app

        return RuntimeLibrary(partial(index_app, app), threads=threads)
    return DirectLibrary(app, threads=threads)


class DirectLibrary:
    """Calls functions as the worker does: coroutine functions on the main loop, others on its threads."""

    def __init__(self, app: func.FunctionRegister, *, threads: int = 32) -> None:
        self._functions = {str(function.get_function_name()): function for function in app.get_functions()}
        get_registry: Callable[[], Any] = func.get_binding_registry
        self._converters = get_registry()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="functions-worker")

    async def index(self) -> list[Function]:
        return [Function(name, tuple(function.get_raw_bindings())) for name, function in self._functions.items()]

    async def invoke(self, invocation: Invocation, loop: asyncio.AbstractEventLoop) -> Outcome:
        function = self._functions[invocation.function]
        types = {binding.name: str(binding.type) for binding in function.get_bindings()}
        try:
            arguments = {
                name: self._converters.get(types[name]).decode(to_datum(data), trigger_metadata={})
                for name, data in invocation.inputs.items()
            }
            result = await self._call(function.get_user_function(), arguments, loop)
            return Outcome(invocation.id, value=from_datum(self._encode(types, result)))
        except Exception as error:
            return Outcome(invocation.id, error=str(error))

    async def _call(self, user_function: Any, arguments: Mapping[str, Any], loop: asyncio.AbstractEventLoop) -> Any:
        if inspect.iscoroutinefunction(user_function):
            return await user_function(**arguments)
        return await loop.run_in_executor(self._pool, partial(user_function, **arguments))

    def _encode(self, types: Mapping[str, str], result: object) -> Any:
        """Return the datum of the `$return` binding, or of the trigger that returns its function's value."""
        kind = types.get("$return") or next((kind for kind in types.values() if self._returns(kind)), None)
        if kind is None and result is not None:
            raise RuntimeError("a function without a $return binding returned a non-None value")
        return None if kind is None else self._converters.get(kind).encode(result, expected_type=None)

    def _returns(self, kind: str) -> bool:
        return bool(getattr(self._converters.get(kind), "has_implicit_output", lambda: False)())

    def close(self) -> None:
        self._pool.shutdown()
