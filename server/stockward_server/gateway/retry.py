"""When a delivery that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

RETRY_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Pause after the first, second and so on failure: ten attempts over a little more than three days."""

JITTER = 0.2
"""A pause is up to this part longer, by chance, so that what failed together does not come back together."""


def retry_delay(attempt: int, delays: Sequence[timedelta]) -> timedelta | None:
    """The pause after the `attempt`th failure (from 1); None when it was the last one."""
    if attempt > len(delays):
        return None
    return delays[attempt - 1] * random.uniform(1, 1 + JITTER)
