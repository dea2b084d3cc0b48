"""The one error that setting up the demo can end in."""

from __future__ import annotations

__all__ = ["DemoSetupError"]


class DemoSetupError(Exception):
    """The demo cannot start with these settings or packages; the text says what to do about it."""
