"""`stockward events`, and lists over several pages."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.staff_terminal import Both, Run, reaching, rows
from tests.terminal import MODULE, clean_environment


async def test_events(shop: Shop, run: Run, both: Both, sku: str, tmp_path: Path) -> None:
    printed, recorded = await both("events", "list", "--aggregate", f"{sku}@main")
    assert [event["type"] for event in recorded["events"]] == ["stock.changed"]
    assert rows(printed)[0][3:6] == ["stock.changed", f"{sku}@main", "1"]
    first = await run("events", "list", "--limit", "1", "--json")
    cursor = first.json["nextCursor"]
    assert f"--cursor {cursor}" in first.err
    rest = await run("events", "list", "--limit", "1000", "--cursor", cursor, "--type", "stock.*", "--json")
    assert rest.json["caughtUp"]
    assert {event["type"].partition(".")[0] for event in rest.json["events"]} == {"stock"}

    follower = await asyncio.create_subprocess_exec(
        *(*MODULE, "events", "follow", "--type", "stock.changed", "--json"),
        env=clean_environment() | reaching(shop),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert follower.stdout
    assert follower.stderr
    try:
        async with asyncio.timeout(60):
            assert b"Following from cursor" in await follower.stderr.readline()
            await shop.receive(sku, 7)
            event = json.loads(await follower.stdout.readline())
            assert (event["aggregateId"], event["stock"]["onHandDelta"]) == (f"{sku}@main", "7")
    finally:
        follower.send_signal(signal.SIGINT)
        await follower.communicate()
    assert follower.returncode == 130


async def test_lists_follow_pages(shop: Shop, run: Run, sku: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_client.aio_calls.MAX_PAGE_SIZE", 2)
    for _ in range(4):
        await shop.receive(sku, 1)
    everything = await run("stock", "history", "--sku", sku, "--json")
    assert (len(everything.json["movements"]), everything.json["nextPageToken"], everything.err) == (5, "", "")
    some = await run("stock", "history", "--sku", sku, "--limit", "3", "--json")
    assert some.json["movements"] == everything.json["movements"][:3]
    assert some.json["nextPageToken"]
    assert "--limit" in some.err
