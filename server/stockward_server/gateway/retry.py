"""When a delivery that failed is tried again, and after how many failures it becomes a dead letter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

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

FEW_ATTEMPTS = 4
"""Of what is refused for good, by another 4xx or a redirect: half an hour, should the receiver be fixed meanwhile."""

PASSING = frozenset({408, 425, 429})
"""Statuses of 4xx that speak of this moment only."""

GONE = 410
"""The receiver wants no more webhooks at all."""

MAX_RETRY_AFTER = timedelta(hours=24)
"""However long a receiver asks to wait."""


def retry_delay(
    attempt: int, delays: Sequence[timedelta], status: int | None = None, retry_after: timedelta | None = None
) -> timedelta | None:
    """The pause after the `attempt`th failure (from 1); None when it was the last one.

    `status` is that of the answer, None when there was none. A receiver's `retry_after` makes a pause longer, never
    shorter: else one that asks for a second each time would use all attempts up within ten.
    """
    last = len(delays) + 1
    if status is not None and status < 500 and status not in PASSING and status != GONE:
        last = min(last, FEW_ATTEMPTS)
    if attempt >= last:
        return None
    delay = delays[attempt - 1] * random.uniform(1, 1 + JITTER)
    return max(delay, retry_after) if retry_after else delay


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The header Retry-After (RFC 9110, 10.2.3): seconds or a date, at most MAX_RETRY_AFTER; None when it is
    missing, past or neither."""
    if not value:
        return None
    value = value.strip()
    try:
        if value.isascii() and value.isdigit():
            wait = timedelta(seconds=min(int(value[:12]), MAX_RETRY_AFTER.total_seconds()))
        else:
            moment = parsedate_to_datetime(value)
            wait = min(moment.replace(tzinfo=moment.tzinfo or UTC) - now, MAX_RETRY_AFTER)
    except (ValueError, OverflowError):
        return None
    return wait if wait > timedelta(0) else None
