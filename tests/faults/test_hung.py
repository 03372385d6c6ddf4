"""A machine stands still and comes back: calls end in time, it is reported, and all goes on by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from stockward_server.runtime.probes import answers
from tests.events import until
from tests.faults.failover_bench import CALL_SECONDS, Bench, bench

pytestmark = [pytest.mark.timed, pytest.mark.timeout(300)]

GOAL = 5.0
"""Seconds after the machine goes on within which orders do."""

WEBHOOK_GOAL = 15.0
"""The same of webhooks: a relay that lost NATS tries again after up to four seconds, and what waited goes first."""


async def report(what: str, unready: float, running: Bench, since: float, capsys: pytest.CaptureFixture[str]) -> None:
    await running.close()
    await running.judge(running.primary)
    orders, webhooks = running.first_order_after(since), running.first_webhook_after(since)
    with capsys.disabled():
        print(
            f"\n{what} hung: reported after {unready:.1f} s; when it went on the first order came in {orders:.2f} s, "
            f"the first webhook of one in {webhooks:.2f} s; {len(running.acknowledged)} orders, "
            f"{dict(running.codes)}, the longest call {running.longest:.1f} s"
        )
    assert running.longest < CALL_SECONDS + 2
    assert orders < GOAL
    assert webhooks < WEBHOOK_GOAL


async def test_postgresql_hangs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with bench(tmp_path, servers=1) as running:
        await running.buy_more()
        await running.primary.stand_still()
        since = time.monotonic()
        await until(lambda: _is_not(running.admin[0], "/readyz"), 15)
        unready = time.monotonic() - since
        asked = time.monotonic()
        async with aiohttp.ClientSession() as http, http.get(f"http://{running.gateway_address}/healthz") as answer:
            assert answer.status == 503
        assert time.monotonic() - asked < 4
        await running.primary.go_on()
        since = time.monotonic()
        await running.buy_more()
        await until(lambda: answers(f"http://{running.admin[0]}/readyz"), 15)
        await report("PostgreSQL", unready, running, since, capsys)


@pytest.mark.parametrize("who", ["NATS", "relay", "gateway"])
async def test_another_machine_hangs(tmp_path: Path, who: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Orders go on meanwhile; events and webhooks wait."""
    async with bench(tmp_path, servers=1) as running:
        service = {"NATS": running.nats, "relay": running.relay, "gateway": running.gateway}[who]
        reported: dict[str, Callable[[], Awaitable[bool]]] = {
            "NATS": lambda: _says(running.relay_admin, "stockward_nats_connected 0.0"),
            "relay": lambda: _is_not(running.relay_admin, "/readyz"),
            "gateway": lambda: _is_not(running.gateway_address, "/healthz"),
        }
        await running.buy_more()
        assert service.pid is not None
        os.kill(service.pid, signal.SIGSTOP)
        since = time.monotonic()
        await until(reported[who], 45)
        unready = time.monotonic() - since
        await running.buy_more()
        assert await answers(f"http://{running.admin[0]}/readyz")
        os.kill(service.pid, signal.SIGCONT)
        since = time.monotonic()
        await running.buy_more()
        await report(who, unready, running, since, capsys)


async def _is_not(address: str, path: str) -> bool:
    return not await answers(f"http://{address}{path}")


async def _says(address: str, line: str) -> bool:
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as answer:
        return line in await answer.text()
