from __future__ import annotations

import pytest

from streamsink.backends.memory.settings import MemorySettings
from streamsink.core.errors import SettingsError
from streamsink.core.variables import read, variable_names


def test_unset_is_the_default() -> None:
    assert read(MemorySettings, {}) == MemorySettings()


def test_all_of_it_can_be_set() -> None:
    environ = {
        "STREAM_HISTORY_EVENTS": "100", "STREAM_HISTORY_TTL_S": "60", "STREAM_HISTORY_MAX_BYTES": "1048576",
    }  # fmt: skip

    assert read(MemorySettings, environ) == MemorySettings(events=100, ttl_s=60, max_bytes=1_048_576)
    assert variable_names(MemorySettings) == set(environ)


@pytest.mark.parametrize("name", ["STREAM_HISTORY_EVENTS", "STREAM_HISTORY_TTL_S", "STREAM_HISTORY_MAX_BYTES"])
def test_out_of_range_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(MemorySettings, {name: "1"})
