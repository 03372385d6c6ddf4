"""Checks after a run. Each examines everything of its kind and reports what breaks the promise."""

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
    """A broken promise. `subjects` are the ids to trace."""

    message: str
    subjects: tuple[str, ...] = ()


@dataclass(slots=True)
class Finding:
    """The result of one check: its violations, and the number of things examined."""

    check: str
    promise: str
    examined: int
    violations: list[Violation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the event log."""

    seq: int
    event_id: str
    type: str
    aggregate_id: str
    version: int
    request_id: str
    data: Any


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of the work."""

    rate: float = 0.0
    """Successful calls per second."""
    latency: float = 0.0
    """Median latency of attempts, in seconds."""


@dataclass(slots=True)
class Evidence:
    """The data that a run leaves behind."""

    history: History
    pool: Pool
    nats_url: str
    receivers: dict[str, Receiver]
    reader: EventReader
    watch: StockWatch
    most_connections: int
    """Maximum connections to PostgreSQL of all processes together."""
    events: Sequence[Recorded] = ()
    """The event log, by seq."""
    samples: int = 0
    """Number of audits under load."""
    sampled: list[Violation] = field(default_factory=list)
    before: Usage | None = None
    """Usage at rest, before the first fault."""
    healed: Usage | None = None
    """Usage at rest, after the last fault; restarted processes have reached their normal usage only by then."""
    after: Usage | None = None
    """Usage at rest, after all work."""
    pace_before: Pace = Pace()
    """Before the first fault."""
    pace_after: Pace = Pace()
    """After the last one."""
    errors: Sequence[str] = ()
    """Unexpected errors that the processes logged."""


Judge = Callable[[Evidence], Awaitable[Finding]]


async def judge(evidence: Evidence) -> list[Finding]:
    """Returns every check's finding."""
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
