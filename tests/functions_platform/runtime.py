"""The same through Microsoft's worker library, `azure-functions-runtime` (Python 3.13 and newer).

Indexing (which checks names, annotations and directions), conversion of arguments, contexts, threads and returned
values are all theirs: `loader.process_indexed_function` as their `worker_init_request` calls it, then
`native_invocation`, the entry that their newest worker uses because it needs no protobuf. Theirs is one registry
and one thread pool in a process, so one app at a time.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import azure_functions_runtime as worker
from azure_functions_runtime import handle_event, loader
from azure_functions_runtime.bindings.meta import load_binding_registry
from azure_functions_runtime.native_invocation import invocation_request_native

from tests.functions_platform.data import Function, Invocation, Outcome
from tests.functions_platform.datums import from_datum, to_datum

if TYPE_CHECKING:
    import asyncio

    import azure.functions as func

__all__ = ["RuntimeLibrary"]


class _BindingInfo(SimpleNamespace):
    """The part of the protobuf message that indexing reads."""

    undefined: Final = 0
    out: Final = 1
    inout: Final = 2


_PROTOS: Final = SimpleNamespace(BindingInfo=_BindingInfo, RpcFunctionMetadata=SimpleNamespace)


class RuntimeLibrary:
    def __init__(self, app: func.FunctionRegister, *, threads: int) -> None:
        self._app = app
        self._threads = threads
        self._ids: dict[str, str] = {}

    def index(self) -> list[Function]:
        load_binding_registry()
        self._start_threads()
        folder = str(Path(inspect.getfile(type(self._app))).parent)
        indexed, _ = loader.process_indexed_function(
            _PROTOS, handle_event._functions, self._app.get_functions(), folder
        )
        self._ids = {function.name: function.function_id for function in indexed}
        return [Function(function.name, tuple(function.raw_bindings)) for function in indexed]

    def _start_threads(self) -> None:
        os.environ.setdefault("PYTHON_THREADPOOL_THREAD_COUNT", str(self._threads))
        worker.start_threadpool_executor()

    async def invoke(self, invocation: Invocation, loop: asyncio.AbstractEventLoop) -> Outcome:
        inputs: list[tuple[str, Any]] = [(name, to_datum(data)) for name, data in invocation.inputs.items()]
        ok, value, _, error, trace = await invocation_request_native(
            invocation.id, self._ids[invocation.function], inputs, {}
        )
        # The text of an error is its repr; an orchestrator's state, in the message, survives in the trace only.
        return Outcome(invocation.id, value=from_datum(value)) if ok else Outcome(invocation.id, error=trace or error)

    def close(self) -> None:
        worker.stop_threadpool_executor()
