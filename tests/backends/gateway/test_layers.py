"""Protocol and state logic does no input or output (see the package's docstring)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import streamsink.backends.gateway as gateway

FOLDER = Path(gateway.__file__).parent
FORBIDDEN = {"asyncio", "socket", "time", "os", "threading", "datetime", "random"}


@pytest.mark.parametrize(
    "module",
    ["messages", "frame", "json_protocol", "messagepack_arrays", "messagepack_protocol", "handshake", "connection",
     "negotiate", "tokens", "connection_tokens", "admission", "audience", "http", "hub", "frame_queue",
     "websocket_frames", "websocket_peer"],
)  # fmt: skip
def test_sans_io_modules_import_no_loop_socket_clock_or_environment(module: str) -> None:
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert not {name.partition(".")[0] for name in imported} & FORBIDDEN
