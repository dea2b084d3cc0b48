"""Misbehaviour on command: what a service does on a bad day, drawn from a seed.

::

    twin.faults.inject("send", status=503, after=True, probability=0.05)
    twin.faults.refuse_negotiate(429, retry_after_s=2, count=3)
    twin.faults.cut_clients()
    twin.faults.expire_tokens()
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.signalr.twin.routes import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    Choose: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]

__all__ = ["EVERY_OPERATION", "NEGOTIATE", "Failure", "Fault", "Faults", "Plan"]

NEGOTIATE: Final = "negotiate"
EVERY_OPERATION: Final = "*"
_NAMES: Final = (*(kind.value for kind in Kind), NEGOTIATE, EVERY_OPERATION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fault:
    """A rule: what goes wrong with an operation, and how often.

    Args:
        on: an operation: ``send``, ``join``, ``leave``, ``join-user``, ``leave-user``, ``exists``, ``member``,
            ``close``, ``kick``, ``list``, ``token``, ``health``; ``negotiate``, which clients do; ``*``: any of the
            REST API.
        probability: of each time, from 0 to 1.
        count: happens at most so many times; None: always.
        delay_s: seconds that the request waits before anything else.
        status: answered instead of a success, 400 to 599.
        retry_after_s: in a ``Retry-After`` header; None: without one.
        drop: break the connection instead of an answer.
        after: ``status`` or ``drop`` come after the operation was carried out, so that it looks failed and is not.
        duplicate: a send is delivered twice.
        reorder: a send is held back until the next one to the same audience has been delivered, or for the time that
            :class:`Faults` says; it is answered at once.

    Raises:
        ValueError: a value is out of its range, or nothing goes wrong.
    """

    on: str
    probability: float = 1.0
    count: int | None = None
    delay_s: float = 0.0
    status: int | None = None
    retry_after_s: int | None = None
    drop: bool = False
    after: bool = False
    duplicate: bool = False
    reorder: bool = False

    def __post_init__(self) -> None:
        for is_wrong, message in (
            (self.on not in _NAMES, f"the operation should be one of {', '.join(_NAMES)}"),
            (not 0 <= self.probability <= 1, "probability should be from 0 to 1"),
            (self.count is not None and self.count < 1, "count should be at least 1"),
            (not 0 <= self.delay_s <= 3600, "delay_s should be from 0 to 3600"),
            (self.status is not None and not 400 <= self.status <= 599, "status should be from 400 to 599"),
            (self.status is not None and self.drop, "there is a status or a dropped connection, not both"),
            (self.retry_after_s is not None and self.status is None, "retry_after_s goes with a status"),
            (self.after and not self.fails, "after goes with a status or a dropped connection"),
            (not (self.fails or self.delay_s or self.duplicate or self.reorder), "nothing goes wrong"),
        ):
            if is_wrong:
                raise ValueError(message)

    @property
    def fails(self) -> bool:
        """Whether the caller is told of a failure, or of nothing."""
        return self.status is not None or self.drop


@dataclass(frozen=True, slots=True)
class Failure:
    """How a request fails: with a status, or None, a broken connection."""

    status: int | None
    retry_after_s: int | None
    after: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes wrong with one request."""

    delay_s: float = 0.0
    copies: int = 1
    reorder: bool = False
    failure: Failure | None = None

    def fails(self, *, after: bool) -> bool:
        """Whether it fails at that point."""
        return self.failure is not None and self.failure.after == after


class Faults:
    """The rules, and what can be done to everybody at once.

    Args:
        seed: of all that is random here.
        sleep: waits for seconds.
        held_s: seconds for which a send is held back at most.

    Attributes:
        happened: how often each rule did.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        held_s: float = 0.2,
    ) -> None:
        self._random = Random(seed)  # noqa: S311  to be repeatable is its purpose
        self._rules: list[Fault] = []
        self._cut: Callable[[Choose], int]
        self._expire: Callable[[], None]
        self.sleep: Callable[[float], Awaitable[Any]] = sleep
        self.held_s: float = held_s
        self.happened: Counter[Fault] = Counter()

    def attach(self, *, cut: Callable[[Choose], int], expire: Callable[[], None]) -> None:
        """What reaches the service; the twin calls this.

        Args:
            cut: breaks those connections that the given function chooses; returns how many.
            expire: expires the tokens issued so far.
        """
        self._cut, self._expire = cut, expire

    def add(self, fault: Fault) -> Fault:
        """Apply a rule from now on, after those before it."""
        self._rules.append(fault)
        return fault

    def inject(self, on: str, **what: Any) -> Fault:
        """The same, from the arguments of :class:`Fault`."""
        return self.add(Fault(on=on, **what))

    def refuse_negotiate(
        self, status: int = 503, *, retry_after_s: int | None = None, count: int | None = None
    ) -> Fault:
        """Let no client in."""
        return self.inject(NEGOTIATE, status=status, retry_after_s=retry_after_s, count=count)

    def remove(self, fault: Fault) -> None:
        """Apply a rule no more; again is no error."""
        if fault in self._rules:
            self._rules.remove(fault)

    def clear(self) -> None:
        """Behave, from now on."""
        self._rules.clear()

    def cut_clients(self, count: int | None = None) -> int:
        """Break clients' connections without a word, as networks do.

        Args:
            count: of so many, chosen at random; None: of all.

        Returns:
            how many.
        """
        return self._cut(lambda them: them if count is None else self._random.sample(them, min(count, len(them))))

    def expire_tokens(self) -> None:
        """Refuse every token issued until now, of clients and of REST callers. Tokens have whole seconds: what is
        issued within the rest of this second is refused too. Open WebSockets go on, as on Azure."""
        self._expire()

    def draw(self, operation: str) -> Plan:
        """What goes wrong this time: of several rules the delays add up, and the first failure counts."""
        plan = Plan()
        for fault in tuple(self._rules):
            if self._strikes(fault, operation):
                plan = _with(plan, fault)
        return plan

    def _strikes(self, fault: Fault, operation: str) -> bool:
        is_meant = fault.on == operation or (fault.on == EVERY_OPERATION and operation != NEGOTIATE)
        if not is_meant or (fault.count is not None and self.happened[fault] >= fault.count):
            return False
        # Drawn only where a rule leaves it open, so that adding a certain one changes no other's luck.
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        self.happened[fault] += 1
        return True


def _with(plan: Plan, fault: Fault) -> Plan:
    failure = Failure(fault.status, fault.retry_after_s, fault.after) if fault.fails else None
    return Plan(
        plan.delay_s + fault.delay_s,
        plan.copies + fault.duplicate,
        plan.reorder or fault.reorder,
        plan.failure or failure,
    )
