"""The HTTP API's contract, as checks that every host must pass (DESIGN §5).

Each check is a coroutine function that takes a maker of sites: ``make(*agents, settings=…, identify=…, authorize=…)``
is an async context manager that gives a running host with these agents (default: one named Robot that says "Hello
there"), seen from outside (``tests/hosts/support.py``, ``Site``). ``identify`` is ``support.named`` by default.
"""

from __future__ import annotations

from . import (
    contract_access,
    contract_control,
    contract_metrics,
    contract_queues,
    contract_runs,
    contract_shapes,
    contract_threads,
)

__all__ = ["HTTP_CONTRACT"]

HTTP_CONTRACT = (
    *contract_threads.CHECKS,
    *contract_runs.CHECKS,
    *contract_queues.CHECKS,
    *contract_control.CHECKS,
    *contract_access.CHECKS,
    *contract_shapes.CHECKS,
    *contract_metrics.CHECKS,
)
