"""What nodes in processes of their own serve: ``streamsink serve tests.e2e.agents``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.e2e.world import storyteller

if TYPE_CHECKING:
    from agent_framework import Agent


def agents() -> list[Agent]:
    """The storyteller, at the pace that the environment says."""
    return [storyteller(token_interval_s=float(os.environ["TOKEN_INTERVAL_S"]))]
