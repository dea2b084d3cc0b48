"""The collector's settings are the process's, so they are looked at in another one."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
from streamsink.hosts.garbage import spare_what_stays

young, middle, _ = gc.get_threshold()
spare_what_stays()
assert gc.get_threshold() == (young, middle, 100)
assert gc.get_freeze_count() > 1_000
"""


def test_what_is_there_is_spared_and_young_garbage_is_not() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=60)
