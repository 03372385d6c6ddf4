"""Metrics of the gateway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stockward_server.runtime.distribution import Distribution


@dataclass(slots=True)
class GatewayMetrics:
    """Counters and states of one gateway, since the process began."""

    attempts: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Attempts by endpoint id and outcome: delivered, failed (to be retried), dead."""
    durations: defaultdict[str, Distribution] = field(default_factory=lambda: defaultdict(Distribution))
    """Duration of each request in seconds, by its HTTP status; `error` without a response."""
    fanned_out: int = 0
    """Events made into deliveries."""
    set_aside: int = 0
    """Messages of the stream that are not Stockward's events and were set aside."""
    feeding: bool = False
    """Whether this gateway is the one that reads the stream, and is connected to NATS."""
    lanes: Callable[[], int] = int
    """Returns the number of lanes being delivered now."""
    open_breakers: Callable[[], Sequence[str]] = tuple
    """Returns the ids of the endpoints whose circuit breaker is open."""
