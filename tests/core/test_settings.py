"""STREAM_* as settings: ranges, what goes together, no secrets shown, and the table in docs/settings.md."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.backends.memory.settings import MemorySettings
from streamsink.core.errors import SettingsError
from streamsink.core.secrets import SecretRing
from streamsink.core.settings import Limits, Settings, Times
from streamsink.core.variables import variable_names, variables

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
SECRET = "correct-horse-battery-staple-0123456789"


def test_the_defaults_are_those_of_a_first_run() -> None:
    settings = Settings.from_environ({"PATH": "somewhere"})

    assert settings == Settings()
    assert (settings.backend, settings.history, settings.secret) == ("memory", None, None)
    assert settings.limits == Limits(
        max_event_bytes=65_536,
        max_buffer_bytes=1_048_576,
        max_body_bytes=262_144,
        max_prompt_chars=32_000,
        queue_limit=8,
        max_runs_per_user=8,
        requests_per_minute=240,
    )
    assert settings.times == Times(
        run_timeout_s=600, queue_timeout_s=300, lease_s=30, drain_s=10, wait_s=220, token_lifetime_s=3_600
    )


def test_values_of_every_kind_are_read() -> None:
    settings = Settings.from_environ(
        {
            "STREAM_BACKEND": "redis",
            "STREAM_HISTORY": "none",
            "STREAM_SECRET": f"b:{SECRET}",
            "STREAM_PUBLIC_URL": "https://chat.example.com/agents/",
            "STREAM_ALLOWED_ORIGINS": "https://app.example.com, http://localhost:3000",
            "STREAM_WINDOW_MS": "0",
            "STREAM_LEASE_S": "2.5",
            "STREAM_MAX_EVENT_BYTES": "2048",
        }
    )

    assert (settings.backend, settings.history, settings.window_ms) == ("redis", "none", 0)
    assert settings.secret is not None
    assert settings.secret.kids == ("b",)
    assert settings.public_url == "https://chat.example.com/agents"
    assert settings.allowed_origins == ("https://app.example.com", "http://localhost:3000")
    assert settings.times.lease_s == 2.5
    assert settings.limits.max_event_bytes == 2_048


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAM_BACKEND", "Azure SignalR"),
        ("STREAM_HISTORY", "../x"),
        ("STREAM_SECRET", "short"),
        ("STREAM_PUBLIC_URL", "chat.example.com"),
        ("STREAM_PUBLIC_URL", "https://chat.example.com/?x=y"),
        ("STREAM_PUBLIC_URL", "https://user:password@chat.example.com/"),
        ("STREAM_ALLOWED_ORIGINS", "*"),
        ("STREAM_ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("STREAM_MAX_BUFFER_BYTES", "0"),
        ("STREAM_AUTH", "oauth"),
        ("STREAM_SERVICE_KEYS", "short"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({variable: value})

    assert caught.value.variable == variable


def test_an_unknown_variable_is_an_error_that_suggests_the_nearest() -> None:
    with pytest.raises(SettingsError, match="STREAM_BAKCEND should be STREAM_BACKEND, perhaps"):
        Settings.from_environ({"STREAM_BAKCEND": "redis"})


def test_variables_of_backends_are_known_when_somebody_says_so() -> None:
    assert Settings.from_environ({"STREAM_REDIS_URL": "x"}, also_known=["STREAM_REDIS_URL"]) == Settings()


def test_an_event_fits_into_the_buffer() -> None:
    with pytest.raises(SettingsError, match="STREAM_MAX_BUFFER_BYTES should be at least STREAM_MAX_EVENT_BYTES"):
        Settings.from_environ({"STREAM_MAX_BUFFER_BYTES": "65536", "STREAM_MAX_EVENT_BYTES": "65537"})


def test_one_process_may_invent_its_own_secret() -> None:
    ring = SecretRing.generate(lambda size: b"r" * size)

    settings = Settings(backend="memory", window_ms=7).with_secret(ring)

    assert settings.secret is ring
    assert settings.window_ms == 7


def test_no_secret_is_shown() -> None:
    settings = Settings.from_environ(
        {
            "STREAM_SECRET": SECRET,
            "STREAM_AUTH": "jwt",
            "STREAM_JWT_SECRET": SECRET,
            "STREAM_JWT_AUDIENCE": "us",
            "STREAM_SERVICE_KEYS": SECRET,
        }
    )

    assert settings.auth.service_keys == (SECRET,)
    assert SECRET not in repr(settings) + str(settings)


@pytest.mark.parametrize("variable", ["STREAM_SECRET", "STREAM_JWT_SECRET", "STREAM_SERVICE_KEYS"])
def test_no_secret_is_in_an_error(variable: str) -> None:
    value = "-".join(["nearly", "a", "secret"])

    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({variable: value})

    assert value not in "".join(traceback.format_exception(caught.value))


@given(st.dictionaries(st.sampled_from(sorted(variable_names(Settings))), st.text() | st.integers().map(str)))
def test_no_environment_does_anything_but_give_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    try:
        settings = Settings.from_environ(environ)
    except SettingsError:
        return

    assert settings.limits.max_event_bytes <= settings.limits.max_buffer_bytes


def test_the_table_in_the_docs_is_the_code() -> None:
    """Name, default and rule of every variable, word for word."""
    row = re.compile(r"^\| `(STREAM_\w+)` \| (.+?) \| (.+?) \| .+ \|$", re.MULTILINE)
    written = {name: (default, rule) for name, default, rule in row.findall(DOCS.read_text("utf-8"))}

    assert written == {
        variable.name: (_shown(default), variable.expected.replace("'", "`"))
        for settings in (Settings, MemorySettings)
        for variable, default in variables(settings)
    }


def _shown(default: Any) -> str:
    return "not set" if default in (None, ()) else f"`{default}`"
