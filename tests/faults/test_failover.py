"""PostgreSQL fails over to its synchronous standby under load: nothing is lost, and everything comes back by itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stockward_server.runtime.probes import answers
from tests.events import until
from tests.faults.failover_bench import bench
from tests.pgbouncer import PROGRAM
from tests.replication import Member

pytestmark = [pytest.mark.timed, pytest.mark.timeout(300)]

GOAL = 5.0
"""Seconds after the promotion within which orders, events and webhooks go on."""


COPIED = ("behind PgBouncer", "alive")
"""Fates after which the former primary comes back as a copy, by pg_basebackup; after the others it is rewound."""


@pytest.mark.parametrize("fate", ["killed", "behind PgBouncer", "silent", "alive"])
async def test_failover(tmp_path: Path, fate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`alive`: nobody stopped the primary, which knows nothing of the promotion."""
    if fate == "behind PgBouncer" and PROGRAM is None:
        pytest.skip("no pgbouncer here")
    async with bench(tmp_path, pooled=fate == "behind PgBouncer") as running:
        primary, standby = running.primary, running.standby
        await running.buy_more(100)
        unready = 0.0
        if fate != "alive":
            stopped = time.monotonic()
            await (primary.stand_still() if fate == "silent" else primary.kill())
            await until(lambda: _unready(running.admin[0]), 15)
            unready = time.monotonic() - stopped
        await standby.promote()
        promoted = time.monotonic()
        if running.pooler:
            await running.pooler.lead_to(standby)
        await running.buy_more(100)
        await until(lambda: answers(f"http://{running.gateway_address}/healthz"))
        await until(lambda: answers(f"http://{running.admin[0]}/readyz"))
        if fate in ("silent", "alive"):  # it wakes up, and nobody writes to it
            if fate == "silent":
                await primary.go_on()
            before = await primary.run("SELECT count(*) FROM orders")
            await running.buy_more(200)
            assert await primary.run("SELECT count(*) FROM orders") == before
            await primary.kill()
        await running.close()
        await running.judge(standby)
        orders, webhooks = running.first_order_after(promoted), running.first_webhook_after(promoted)
        with capsys.disabled():
            print(
                f"\n{fate}: not ready after {unready:.1f} s; after the promotion the first order {orders:.2f} s, "
                f"the first webhook of one in {webhooks:.2f} s; {len(running.acknowledged)} orders, "
                f"{dict(running.codes)}, the longest call {running.longest:.1f} s"
            )
        assert max(orders, webhooks) < GOAL
        await rejoin(primary, standby, copied=fate in COPIED)


async def rejoin(former: Member, primary: Member, *, copied: bool) -> None:
    """The former primary follows the new one, and loses what that one never had."""
    if copied:
        former.discard(primary)
    else:
        await former.start()  # rewinding needs it shut down cleanly
        await former.stop()
        await former.rewind(primary)
    await former.start()
    await until(lambda: follows(primary))
    assert await former.run("SELECT pg_is_in_recovery()")
    ours = await primary.run("SELECT count(*) FROM orders")

    async def caught_up() -> bool:
        return await former.run("SELECT count(*) FROM orders") == ours

    await until(caught_up)


async def follows(primary: Member) -> bool:
    return bool(await primary.run("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))


async def _unready(admin: str) -> bool:
    return not await answers(f"http://{admin}/readyz")
