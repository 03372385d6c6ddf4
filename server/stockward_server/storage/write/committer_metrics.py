"""What the committer has done, and how long it took. Everything is counted once a batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from stockward_server.runtime.distribution import Distribution

log = logging.getLogger(__name__)

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

PHASES = ("begin", "lock", "decide", "write", "commit")
"""The parts of a transaction. `begin` has the wait for a connection and the look for request_ids."""


@dataclass(slots=True)
class CommitterMetrics:
    """Since the process began."""

    commands: int = 0
    """Commands whose batch has ended, one way or the other."""
    sizes: Distribution = field(default_factory=lambda: Distribution(SIZES))
    """Commands of each batch."""
    waits: Distribution = field(default_factory=Distribution)
    """Seconds that the command of each batch that waited longest was queued."""
    seconds: Distribution = field(default_factory=Distribution)
    """Each batch from its beginning to its answers, repetitions included."""
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    """Seconds in each part of all transactions together."""
    retries: int = 0
    """Transactions that failed because the database was not there."""
    replays: int = 0
    """Batches replayed one command at a time."""

    def add(self, commands: int, waited: float, seconds: float) -> None:
        """One batch."""
        self.commands += commands
        self.sizes.add(commands)
        self.waits.add(waited)
        self.seconds.add(seconds)


class Phases:
    """How long the parts of one transaction took."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._since = time.perf_counter()

    def end(self, phase: str) -> None:
        """It began when the one before ended."""
        now = time.perf_counter()
        self.seconds[phase] += now - self._since
        self._since = now


def log_slow_batch(commands: int, waited: float, seconds: float, phases: Mapping[str, float]) -> None:
    """One line that says where the time went."""
    parts = {phase: round(1000 * spent) for phase, spent in phases.items()}
    log.warning(
        "slow batch: %d commands took %.0f ms, after %.0f ms in the queue (%s)",
        commands,
        1000 * seconds,
        1000 * waited,
        ", ".join(f"{phase} {spent}" for phase, spent in parts.items()),
        extra={"batch_size": commands, "duration_ms": round(1000 * seconds), "phases_ms": parts},
    )
