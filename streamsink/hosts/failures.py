"""What may be logged about a failure of somebody else's code."""

from __future__ import annotations

import traceback

__all__ = ["frames"]


def frames(error: BaseException) -> str:
    """The error's type and where it was raised, frame by frame.

    Its text is left out, and so are the values of its frames: they may quote a prompt or a credential.
    """
    where = "".join(
        f"\n  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    )
    return type(error).__name__ + where
