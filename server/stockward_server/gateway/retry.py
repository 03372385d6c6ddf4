"""When a failed delivery is retried, and after how many failures it becomes a dead letter."""

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
"""Maximum by which a pause is lengthened at random, as a fraction, so that deliveries that failed together are not
retried together."""

FEW_ATTEMPTS = 4
"""Attempts after a permanent refusal (another 4xx or a redirect): half an hour, in case the receiver is fixed."""

PASSING = frozenset({408, 425, 429})
"""Statuses of 4xx that are temporary."""

GONE = 410
"""Status with which a receiver ends its webhooks."""

MAX_RETRY_AFTER = timedelta(hours=24)
"""Maximum of a receiver's `Retry-After` that is respected."""


def retry_delay(
    attempt: int, delays: Sequence[timedelta], status: int | None = None, retry_after: timedelta | None = None
) -> timedelta | None:
    """Returns the pause after failed attempt number `attempt` (from 1); None when it was the last one.

    `status` is that of the response, None without one. A receiver's `retry_after` makes a pause longer, never shorter:
    else a receiver that asks for one second each time would use up all attempts within ten seconds.
    """
    last = len(delays) + 1
    if status is not None and status < 500 and status not in PASSING and status != GONE:
        last = min(last, FEW_ATTEMPTS)
    if attempt >= last:
        return None
    delay = delays[attempt - 1] * random.uniform(1, 1 + JITTER)
    return max(delay, retry_after) if retry_after else delay


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Parses the header Retry-After (RFC 9110, 10.2.3), which has seconds or a date.

    Returns at most MAX_RETRY_AFTER; None when the header is missing, malformed or in the past.
    """
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
