"""Metrics of the committer, updated once a batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from stockward_server.runtime.distribution import Distribution

log = logging.getLogger(__name__)

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

PHASES = ("begin", "lock", "decide", "write", "commit")
"""The phases of a transaction. `begin` includes the wait for a connection and the search for request_ids."""


@dataclass(slots=True)
class CommitterMetrics:
    """Figures since the process began."""

    commands: int = 0
    """Commands whose batch has finished, successfully or not."""
    sizes: Distribution = field(default_factory=lambda: Distribution(SIZES))
    """Number of commands of each batch."""
    waits: Distribution = field(default_factory=Distribution)
    """Seconds that the command that waited longest in each batch was queued."""
    seconds: Distribution = field(default_factory=Distribution)
    """Seconds of each batch from its start to its responses, repetitions included."""
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    """Total seconds of all transactions in each phase."""
    optimistic: int = 0
    """Batches that were decided on remembered rows and written in one round trip."""
    overtaken: int = 0
    """Such batches that were not written, mostly since another process had changed the stock first."""
    retries: int = 0
    """Transactions that failed because the database was unavailable."""
    replays: int = 0
    """Batches replayed one command at a time."""

    def add(self, commands: int, waited: float, seconds: float) -> None:
        """Records one batch; `waited` and `seconds` in seconds."""
        self.commands += commands
        self.sizes.add(commands)
        self.waits.add(waited)
        self.seconds.add(seconds)


class Phases:
    """Measures the phases of one transaction."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._since = time.perf_counter()

    def end(self, phase: str) -> None:
        """Ends a phase, which began when the previous one ended."""
        now = time.perf_counter()
        self.seconds[phase] += now - self._since
        self._since = now


def log_slow_batch(commands: int, waited: float, seconds: float, phases: Mapping[str, float]) -> None:
    """Logs the phases of a slow batch in one line; times in seconds."""
    parts = {phase: round(1000 * spent) for phase, spent in phases.items()}
    log.warning(
        "slow batch: %d commands took %.0f ms, after %.0f ms in the queue (%s)",
        commands,
        1000 * seconds,
        1000 * waited,
        ", ".join(f"{phase} {spent}" for phase, spent in parts.items()),
        extra={"batch_size": commands, "duration_ms": round(1000 * seconds), "phases_ms": parts},
    )
