"""The contract of a sink, as checks that every backend must pass, ours and third parties' alike.

Each check is a coroutine function that takes a maker of subjects. With pytest::

    @pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
    async def test_contract(check: Check) -> None:
        await check(make_subject)

``make_subject()`` is an async context manager that gives a :class:`~streamsink.testing.subject.Subject`. A check about
something that the subject says it does not have raises ``NotApplicableError``.
"""

from __future__ import annotations

from streamsink.testing import contract_delivery, contract_publishing, contract_runs, contract_timeline
from streamsink.testing.checking import Check, NotApplicableError

__all__ = ["CONTRACT", "Check", "NotApplicableError"]

CONTRACT: tuple[Check, ...] = (
    *contract_timeline.CHECKS,
    *contract_runs.CHECKS,
    *contract_delivery.CHECKS,
    *contract_publishing.CHECKS,
)
"""Every check, in the order in which a new backend is best made to pass them."""
