"""The same through Microsoft's worker library, `azure-functions-runtime` (Python 3.13 and newer).

Indexing (which checks names, annotations and directions), conversion of arguments, contexts, threads and returned
values are all theirs. A script is indexed by their `worker_init_request`; an app object by what that calls. They
are invoked through `native_invocation`, the entry that their newest worker uses because it needs no protobuf.
Theirs is one registry and one thread pool in a process, so one app at a time.
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
    from collections.abc import Awaitable, Callable, Iterable

    import azure.functions as func

__all__ = ["RuntimeLibrary", "index_app", "index_script"]

_THREADS: Final = "PYTHON_THREADPOOL_THREAD_COUNT"


class _BindingInfo(SimpleNamespace):
    """The part of the protobuf message that indexing reads."""

    undefined: Final = 0
    out: Final = 1
    inout: Final = 2


class _StatusResult(SimpleNamespace):
    Failure: Final = 0
    Success: Final = 1


_PROTOS: Final = SimpleNamespace(
    BindingInfo=_BindingInfo,
    FunctionMetadataResponse=SimpleNamespace,
    RpcException=SimpleNamespace,
    RpcFunctionMetadata=SimpleNamespace,
    StatusResult=_StatusResult,
    WorkerInitResponse=SimpleNamespace,
    WorkerMetadata=SimpleNamespace,
)


async def index_app(app: func.FunctionRegister) -> Iterable[Any]:
    """Index an app object; return the metadata of its functions."""
    load_binding_registry()
    folder = str(Path(inspect.getfile(type(app))).parent)
    indexed, _ = loader.process_indexed_function(_PROTOS, handle_event._functions, app.get_functions(), folder)
    functions: Iterable[Any] = indexed
    return functions


async def index_script(folder: Path, script: str) -> Iterable[Any]:
    """Import a script and index the app in it, as the platform does at start-up.

    Raises:
        RuntimeError: it cannot; the message has the cause.
    """
    os.environ["PYTHON_SCRIPT_FILE_NAME"] = script
    init = SimpleNamespace(capabilities={}, function_app_directory=str(folder))
    properties = {"host": "127.0.0.1", "protos": _PROTOS}
    request = SimpleNamespace(request=SimpleNamespace(worker_init_request=init), properties=properties)
    started = await worker.worker_init_request(request)
    if started.result.status != _StatusResult.Success:
        raise RuntimeError(f"the worker cannot start: {started.result.exception}")
    metadata: Iterable[Any] = (await worker.functions_metadata_request(request)).function_metadata_results
    return metadata


class RuntimeLibrary:
    def __init__(self, index: Callable[[], Awaitable[Iterable[Any]]], *, threads: int = 32) -> None:
        self._index = index
        self._threads = threads
        self._ids: dict[str, str] = {}

    async def index(self) -> list[Function]:
        os.environ.setdefault(_THREADS, str(self._threads))
        worker.start_threadpool_executor()
        indexed = await self._index()
        self._ids = {function.name: function.function_id for function in indexed}
        return [Function(function.name, tuple(function.raw_bindings)) for function in indexed]

    async def invoke(self, invocation: Invocation, loop: asyncio.AbstractEventLoop) -> Outcome:
        inputs: list[tuple[str, Any]] = [(name, to_datum(data)) for name, data in invocation.inputs.items()]
        ok, value, _, error, trace = await invocation_request_native(
            invocation.id, self._ids[invocation.function], inputs, {}
        )
        # The text of an error is its repr; an orchestrator's state, in the message, survives in the trace only.
        return Outcome(invocation.id, value=from_datum(value)) if ok else Outcome(invocation.id, error=trace or error)

    def close(self) -> None:
        worker.stop_threadpool_executor()
