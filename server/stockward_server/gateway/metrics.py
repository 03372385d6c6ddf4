"""What the gateway has done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stockward_server.runtime.distribution import Distribution


@dataclass(slots=True)
class GatewayMetrics:
    """Since the process began."""

    attempts: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By endpoint and outcome: delivered, failed (to be tried again), dead."""
    durations: defaultdict[str, Distribution] = field(default_factory=lambda: defaultdict(Distribution))
    """Seconds of each request, by its HTTP status; `error` when there was no answer."""
    fanned_out: int = 0
    """Events made into deliveries."""
    set_aside: int = 0
    """Messages passed over, since they are no events of ours."""
    feeding: bool = False
    """Whether it is this gateway that reads the stream, and NATS is there."""
    lanes: Callable[[], int] = int
    """Lanes being delivered now."""
    open_breakers: Callable[[], Sequence[str]] = tuple
    """Endpoints that are left alone for their failures."""
