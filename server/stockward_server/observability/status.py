"""The status of the shop that a server reports to staff: the checks of `stockward doctor` that need no more than its
connections to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from stockward_server.application.ports.status import Finding, ReadStatus, ShopStatus, Verdict, Waiting
from stockward_server.application.reads import CachedLoader
from stockward_server.observability.diagnostics import BASIC, ON_DATABASE, safely
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import MAX_COUNTED, read_backlog

FRESH_SECONDS = 2.0
"""Longest time for which a status is returned again."""

TOO_LONG = ("audit",)
"""Checks that read too much to be made whenever someone looks."""


def status_reader(pool: Pool) -> ReadStatus:
    """Returns a function that reads the status, at most once in FRESH_SECONDS for all callers together."""

    async def load(keys: Sequence[str]) -> Mapping[str, ShopStatus]:
        status = await _read(pool)
        return dict.fromkeys(keys, status)

    cache = CachedLoader(load, FRESH_SECONDS)

    async def read() -> ShopStatus:
        status = await cache.get("")
        assert status is not None
        return status

    return read


async def _read(pool: Pool) -> ShopStatus:
    findings: list[Finding] = []
    for name, check, next_step in ON_DATABASE:
        if name in TOO_LONG:
            continue
        found = await safely(name, check(pool), next_step)
        findings += found
        if name in BASIC and any(each.verdict is Verdict.PROBLEM for each in found):
            return ShopStatus(datetime.now(UTC), findings, None)
    return ShopStatus(datetime.now(UTC), findings, await _waiting(pool))


async def _waiting(pool: Pool) -> Waiting:
    backlog = await read_backlog(pool)
    row = await pool.fetchrow(
        """
        SELECT (SELECT count(*) FROM (SELECT FROM orders WHERE state = 1 LIMIT $1) counted),
               (SELECT count(*) FROM (SELECT FROM reservations WHERE state = 1 LIMIT $1) counted),
               (SELECT count(*) FROM (SELECT FROM reservations WHERE state = 1 AND expire_time <= now() LIMIT $1) c),
               (SELECT count(*) FROM (SELECT FROM stock_alerts WHERE clear_time IS NULL LIMIT $1) counted)
        """,
        MAX_COUNTED,
    )
    assert row is not None
    pending, active, late, alerts = row.values()
    return Waiting(
        outbox_pending=backlog.outbox_pending,
        outbox_age=backlog.outbox_age,
        deliveries_pending=backlog.deliveries_pending,
        deliveries_age=backlog.deliveries_age,
        deliveries_dead=backlog.dead,
        sweeper_age=backlog.sweeper_age,
        failing_endpoints=backlog.failing,
        disabled_endpoints=backlog.disabled,
        orders_pending=pending,
        reservations_active=active,
        reservations_late=late,
        stock_alerts=alerts,
    )
