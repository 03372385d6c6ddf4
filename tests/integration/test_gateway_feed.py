"""The feed of webhooks: nothing waits behind a message that is no event, and no message is lost without notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from stockward_server.domain.identifiers import new_id
from stockward_server.observability.families import behind
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import read_backlog
from tests.events import STREAM, event, record, until
from tests.webhooks import Stack, in_order, webhook_stack

SEALED = {
    "ce-id": "0190aaaa-0000-7000-8000-000000000001",
    "ce-type": "stockward.v1.order.created",
    "ce-subject": "a",
    "ce-time": "2026-11-30T12:00:00Z",
    "ce-recordseq": "1",
}
"""Headers of an event."""

FORGED = {
    "none": None,
    "no id": {"ce-id": ""},
    "another id": {"ce-id": "seven"},
    "NUL": {"ce-subject": "a%00b"},
    "no number": {"ce-recordseq": "many"},
    "number that is too high": {"ce-recordseq": "9" * 30},
    "no time": {"ce-time": "soon"},
}


@pytest.fixture
async def stack(database: Pool, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with webhook_stack(database, database_url, tmp_path) as running_stack:
        yield running_stack


@asynccontextmanager
async def jetstream(stack: Stack) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(stack.nats.url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def test_what_is_no_event_is_set_aside_and_holds_nothing_up(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as first:
        await stack.start(first)
        await record(stack.pool, event("a", 1))
        await until(lambda: stack.storefront.taken)
    async with jetstream(stack) as stream:  # so that all of it is one batch with the events around it
        for change in FORGED.values():
            headers = None if change is None else {**SEALED, "ce-id": new_id(), **change}
            await stream.publish("stockward.v1.order.created.fake", b"\xff\xff", headers=headers)
        await record(stack.pool, event("a", 2))
        await until(lambda: stack_has(stream, 2 + len(FORGED)))
        await stack.start()
        await until(lambda: len(stack.storefront.taken) == 2)
        last = (await stream.stream_info(STREAM)).state.last_seq

    rows = await stack.pool.fetch("SELECT * FROM set_aside_messages ORDER BY stream_seq")
    assert [row["stream_seq"] for row in rows] == list(range(2, 2 + len(FORGED)))
    assert {row["subject"] for row in rows} == {"stockward.v1.order.created.fake"}
    assert caplog.text.count("is no event of ours") == len(FORGED)
    told = {sample.name: sample.value for metric in behind(await read_backlog(stack.pool)) for sample in metric.samples}
    assert told["stockward_messages_set_aside"] == len(FORGED)
    assert told["stockward_feed_sequence"] == last == 2 + len(FORGED)


async def stack_has(stream: JetStreamContext, count: int) -> bool:
    return (await stream.stream_info(STREAM)).state.messages == count


async def thief(stream: JetStreamContext) -> JetStreamContext.PullSubscription:
    """Takes messages that the feed's consumer sends: to the feed they are lost."""
    (consumer,) = await stream.consumers_info(STREAM)
    return await stream.pull_subscribe_bind(consumer=consumer.name, stream=STREAM)


@pytest.mark.parametrize("more", [True, False], ids=["and others come", "and none comes after it"])
async def test_a_message_that_is_lost_on_its_way_is_read_again(
    stack: Stack, more: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await stack.start()
    await record(stack.pool, event("a0", 1))
    await until(lambda: stack.storefront.taken)
    versions = 1
    async with jetstream(stack) as stream:
        theft = asyncio.create_task((await thief(stream)).fetch(1, timeout=20))
        while not theft.done():  # requests of the consumer are served in turn
            versions += 1
            await record(stack.pool, event("a0", versions))
            await asyncio.wait((theft,), timeout=0.05)
        assert len(await theft) == 1
    if more:
        versions += 1
        await record(stack.pool, event("a0", versions))
    await until(lambda: stack.storefront.versions() == in_order(1, versions), 40)
    assert "lost on" in caplog.text
