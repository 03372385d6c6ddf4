"""What must hold after a run. Each check looks at everything of its kind and says what breaks the promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stockward_server.storage.database import Pool
from torture.history import History
from torture.listeners import EventReader, Receiver, StockWatch
from torture.usage import Usage


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise. `subjects` are the ids that its trace is about."""

    message: str
    subjects: tuple[str, ...] = ()


@dataclass(slots=True)
class Finding:
    """What one check has found among so many things that it looked at."""

    check: str
    promise: str
    examined: int
    violations: list[Violation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the record of events."""

    seq: int
    event_id: str
    type: str
    aggregate_id: str
    version: int
    request_id: str
    data: Any


@dataclass(frozen=True, slots=True)
class Pace:
    """How work goes on."""

    rate: float = 0.0
    """Calls that were answered a second."""
    latency: float = 0.0
    """Seconds within which half of the attempts were answered."""


@dataclass(slots=True)
class Evidence:
    """All that a run has left behind."""

    history: History
    pool: Pool
    nats_url: str
    receivers: dict[str, Receiver]
    reader: EventReader
    watch: StockWatch
    most_connections: int
    """To PostgreSQL, that all processes together may have."""
    events: Sequence[Recorded] = ()
    """The record, by seq."""
    samples: int = 0
    """How often the books were looked at under load."""
    sampled: list[Violation] = field(default_factory=list)
    before: Usage | None = None
    """At rest, before the first fault."""
    healed: Usage | None = None
    """At rest, after the last one; processes that were started again had nothing left to lose until then."""
    after: Usage | None = None
    """At rest, after all work."""
    pace_before: Pace = Pace()
    """Before the first fault."""
    pace_after: Pace = Pace()
    """After the last one."""
    errors: Sequence[str] = ()
    """What the processes have logged as unforeseen."""


Judge = Callable[[Evidence], Awaitable[Finding]]


async def judge(evidence: Evidence) -> list[Finding]:
    """Every check's finding."""
    from torture.checks import answers, counters, delivered, money, recovery

    judges: Sequence[Judge] = (
        answers.foreseen,
        answers.acknowledged,
        answers.refused,
        answers.whole_orders,
        answers.payments,
        money.added_up,
        counters.balanced,
        counters.ledger,
        counters.sold,
        counters.holds,
        delivered.recorded,
        delivered.streamed,
        delivered.delivered,
        delivered.listed,
        delivered.watched,
        recovery.nothing_leaked,
        recovery.as_fast_as_before,
    )
    return [await each(evidence) for each in judges]
