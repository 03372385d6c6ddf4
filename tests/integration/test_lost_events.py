"""Events that were published and that the record has lost: they are found, listed, and settled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import nats
import pytest
from typer.testing import CliRunner, Result

from stockward_server.cli import app
from stockward_server.observability.families import behind
from stockward_server.observability.lost_events import newest_events, unknown_events
from stockward_server.storage.database import Pool, open_pool
from stockward_server.storage.events.backlog import read_backlog
from stockward_server.storage.log_epoch import begin_epoch
from tests.databases import Databases
from tests.events import STREAM, drained, event, record, until
from tests.webhooks import Stack, webhook_stack


@pytest.fixture
async def stack(database: Pool, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with webhook_stack(database, database_url, tmp_path) as running_stack:
        yield running_stack


async def lose(stack: Stack) -> None:
    """Of four events that are published the last two are lost, and an epoch begins."""
    await record(stack.pool, event("a", 1), event("b", 1, "stock.changed"))
    await record(stack.pool, event("a", 2, "order.processing"), event("c", 1))
    await until(lambda: drained(stack.pool))
    await stack.pool.execute("DELETE FROM events WHERE seq > 2")
    async with stack.pool.acquire() as connection:
        assert await begin_epoch(connection) == 2


async def reconcile(stack: Stack, *options: str) -> Result:
    environment = {"DATABASE_URL": stack.database_url, "EVENT_QUEUE_URL": stack.nats.url, "NO_COLOR": "1"}
    return await asyncio.to_thread(
        CliRunner().invoke, app, ["events", "reconcile", *options], env={**environment, "COLUMNS": "300"}
    )


async def told(stack: Stack) -> tuple[float, float]:
    """Lost events and unsettled epochs, as the metrics have them."""
    found = {each.name: each.value for metric in behind(await read_backlog(stack.pool)) for each in metric.samples}
    return found["stockward_lost_events"], found["stockward_unsettled_epochs"]


async def newest(stack: Stack) -> Sequence[tuple[int, UUID]]:
    """What doctor looks at first."""
    client = await nats.connect(stack.nats.url)
    try:
        stream = client.jetstream()
        found = await newest_events(stream, await stream.stream_info(STREAM))
    finally:
        await client.close()
    assert found
    return found


def in_short(document: Any) -> list[tuple[str, str, int]]:
    return [(each["type"], each["aggregate_id"], each["version"]) for each in document["events"]]


async def test_the_gateway_notes_a_lost_event_and_sends_no_webhook(stack: Stack) -> None:
    async with AsyncExitStack() as first:
        await stack.start(first)  # endpoints get no events that are older than they are
    await lose(stack)
    assert await told(stack) == (0, 1)
    await stack.start()
    await record(stack.pool, event("d", 1))
    await until(lambda: {"a", "d"} <= set(stack.pms.versions()))
    assert stack.pms.versions() == {"a": [1], "d": [1]}
    assert await stack.pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 3") == 0, "no dead letter"
    assert await told(stack) == (2, 1)


async def test_what_is_lost_is_listed_until_it_is_settled(stack: Stack) -> None:
    await lose(stack)
    await stack.pool.execute(
        "INSERT INTO endpoints (endpoint_id, url, description, types, max_in_flight, enabled, managed, create_time,"
        " update_time) VALUES ('erp', 'http://127.0.0.1:1/', '', '{order.created}', 1, true, true, '-infinity', now())"
    )
    for _ in range(2):
        document = json.loads((await reconcile(stack, "--json")).stdout)
        assert in_short(document) == [("order.processing", "a", 2), ("order.created", "c", 1)]
        assert [each["endpoints"] for each in document["events"]] == [[], ["erp"]]
        assert (document["lost_aggregates"], document["changed_aggregates"]) == (["order c"], ["order a"])
        assert (len(document["epochs"]), document["epochs"][0]["kept_seq"], document["settled"]) == (1, 2, False)
    listed = (await reconcile(stack)).stdout
    assert "Lost as a whole, 1: order c" in listed
    assert "Without their last changes, 1: order a" in listed
    assert "erp?" in listed

    published = await newest(stack)
    assert await unknown_events(stack.pool, published) == 2
    result = await reconcile(stack, "--settle", "--note", "all were called")
    assert "2 lost events and 1 epochs are settled" in result.stdout
    assert (await told(stack), await unknown_events(stack.pool, published)) == ((0, 0), 0)
    notes = await stack.pool.fetch("SELECT settle_note FROM lost_events UNION ALL SELECT settle_note FROM log_epochs")
    assert [row["settle_note"] for row in notes] == ["all were called", "all were called", "", "all were called"]
    document = json.loads((await reconcile(stack, "--json")).stdout)
    assert (document["events"], document["epochs"], document["messages_read"]) == ([], [], 4)


async def test_the_former_database_knows_what_was_not_published_and_what_was_delivered(
    stack: Stack, databases: Databases
) -> None:
    await record(stack.pool, event("a", 1))
    await until(lambda: drained(stack.pool))
    async with stack.pool.acquire() as connection:
        await begin_epoch(connection)
    async with databases.one() as former_url:
        async with await open_pool(former_url, 1) as former:
            await record(former, event("z", 1), event("z", 2))
            await former.execute(
                "INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state)"
                " SELECT 'erp', event_id, aggregate_id, type, seq, create_time, seq FROM events"
            )
        document = json.loads((await reconcile(stack, "--json", "--former", former_url)).stdout)
    assert in_short(document) == [("order.created", "z", 2)], "the first one is from before the epoch"
    assert document["events"][0]["delivered_to"] == ["erp"]


async def test_a_stream_that_cannot_be_read_is_said(stack: Stack) -> None:
    await stack.nats.stop()
    result = await reconcile(stack)
    assert result.exit_code == 3
    assert "Lost events cannot be looked for: NATS cannot be reached" in result.stderr
