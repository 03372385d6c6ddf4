"""Deliveries: each sends one event to one endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class DeliveryState(IntEnum):
    """The state of a delivery; the numbers are those of webhook.v1.Delivery.State and of the table."""

    PENDING = 1
    DELIVERED = 2
    DEAD = 3
    SKIPPED = 4


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """One attempt. `status` is None when there was no response."""

    number: int
    start_time: datetime
    latency_ms: int
    status: int | None
    error: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as staff see it; `attempts` are all of them, or only the last one in a list."""

    endpoint_id: str
    event_id: str
    type: str
    aggregate_id: str
    event_time: datetime
    state: DeliveryState
    attempt_count: int
    due_time: datetime | None
    """When its lane is due; None once it is delivered, dead or skipped."""
    finish_time: datetime | None
    attempts: Sequence[LoggedAttempt] = ()
