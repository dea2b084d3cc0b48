"""Which program a server of one's own is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamsink.core.errors import SettingsError, UnavailableError
from streamsink.testing.valkey import ValkeyServer

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "STREAMSINK_TEST_REDIS"


def test_a_program_that_is_named_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "another-server"
    program.write_text("#!/bin/sh\necho this is another one\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))

    with pytest.raises(UnavailableError, match=r"another-server did not start: this is another one"), ValkeyServer():
        pass


def test_a_program_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/no/such/redis-server")

    with pytest.raises(SettingsError, match=VARIABLE):
        ValkeyServer()
