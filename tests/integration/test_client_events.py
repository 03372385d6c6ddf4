"""Events at the Python client: subscriptions over NATS, and webhooks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors
import pytest
from stockward.event.v1.event_pb2 import Event

from stockward_client import WebhookNotVerified, verify_webhook
from stockward_client.events import Handler, subject_for, subscribe
from stockward_dev import Nats
from stockward_server.gateway.message import headers_of, thin_body_of
from stockward_server.storage.database import Pool
from tests.events import STREAM, drained, event, record, record_many, relaying, until, versions
from tests.receiver import SECRET
from tests.webhooks import webhook_stack


@pytest.fixture
async def queue(tmp_path: Path, database_url: str) -> AsyncIterator[Nats]:
    """A NATS of its own, with a relay that fills its stream from the test's database."""
    async with Nats(tmp_path / "nats", durable=False) as server, relaying(database_url, server.url, poll_seconds=0.02):
        yield server


@asynccontextmanager
async def subscribed(queue: Nats, handler: Handler, **options: Any) -> AsyncIterator[None]:
    """A subscription as a task; what ends it by itself is raised."""
    task = asyncio.create_task(subscribe(queue.url, "tests", handler, **options))
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_come_in_order_of_each_aggregate(database: Pool, queue: Nats) -> None:
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        heard.append(event)

    async with subscribed(queue, hear, types=["order.*"]):
        await record_many(database, 5, 20)
        await record(database, event("other", 1, "product.created"))
        await record(database, event("last", 1))
        await until(lambda: heard and heard[-1].aggregate_id == "last")

    assert versions(heard[:-1]) == {f"a{i}": list(range(1, 21)) for i in range(5)}


async def test_subjects_of_skus_choose_their_stock(database: Pool, queue: Nats) -> None:
    heard: list[str] = []

    async def hear(event: Event) -> None:
        heard.append(event.aggregate_id)

    subjects = [subject_for("A.1/b"), subject_for("GRÜN", "changed")]
    async with subscribed(queue, hear, types=["order.*"], subjects=subjects):
        for sku in ("A", "A.1/b", "A.1", "GRÜN"):
            await record(database, event(f"{sku}@main", 1, "stock.changed"))
            await record(database, event(f"{sku}@main", 2, "stock.low"))
        await record(database, event("last", 1))
        await until(lambda: heard and heard[-1] == "last")

    assert heard == ["A.1/b@main", "A.1/b@main", "GRÜN@main", "last"]


async def test_an_event_whose_handler_failed_comes_again_before_all_later_ones(database: Pool, queue: Nats) -> None:
    heard: list[int] = []
    times: list[float] = []
    failures = 3

    async def hear(event: Event) -> None:
        nonlocal failures
        heard.append(event.aggregate_version)
        times.append(time.monotonic())
        if event.aggregate_version == 2 and failures:
            failures -= 1
            raise RuntimeError("not now")

    async with subscribed(queue, hear, retry_delays=[0.01, 0.2]):
        await record(database, *(event("order", version) for version in range(1, 5)))
        await until(lambda: len(heard) == 7)
    assert heard == [1, 2, 2, 2, 2, 3, 4]
    _, _, second, third, fourth, *_ = times
    assert min(third - second, fourth - third) > 0.18, "the last delay stands for all further ones"


async def test_an_event_that_never_succeeds_is_given_up_when_that_is_wanted(database: Pool, queue: Nats) -> None:
    heard: list[int] = []
    dead: list[int] = []

    async def hear(event: Event) -> None:
        heard.append(event.aggregate_version)
        if event.aggregate_version == 1:
            raise RuntimeError("never")

    async def bury(event: Event) -> None:
        dead.append(event.aggregate_version)

    async with subscribed(queue, hear, retry_delays=[0.01], max_deliveries=3, on_dead=bury):
        await record(database, event("order", 1), event("order", 2))
        await until(lambda: heard[-1:] == [2])
    assert (heard, dead) == ([1, 1, 1, 2], [1])


async def test_a_subscriber_that_comes_back_goes_on_where_it_was(database: Pool, queue: Nats) -> None:
    heard: list[int] = []
    working = asyncio.Event()

    async def hear(event: Event) -> None:
        heard.append(event.aggregate_version)
        if heard == [1, 2]:
            working.set()
            await asyncio.Event().wait()

    await record(database, *(event("order", version) for version in range(1, 4)))
    async with subscribed(queue, hear):
        await working.wait()
    async with subscribed(queue, hear):
        await until(lambda: len(heard) == 4)
    assert heard == [1, 2, 2, 3]  # the one that was not finished comes again


@pytest.mark.long
async def test_a_long_handler_keeps_its_event(database: Pool, queue: Nats) -> None:
    heard: list[int] = []

    async def hear(event: Event) -> None:
        heard.append(event.aggregate_version)
        if event.aggregate_version == 1:
            await asyncio.sleep(10.0)  # twice as long as NATS would wait, if it received nothing

    await record(database, event("order", 1), event("order", 2))
    async with subscribed(queue, hear, ack_wait=5.0), subscribed(queue, hear, ack_wait=5.0):
        await until(lambda: len(heard) == 2)
    assert heard == [1, 2]


async def test_duplicates_are_dropped_but_a_new_life_is_not(database: Pool, queue: Nats) -> None:
    heard: list[str] = []

    async def hear(event: Event) -> None:
        heard.append(event.event_id)

    first, second = event("MUG@main", 1, "stock.changed"), event("MUG@main", 2, "stock.changed")
    anew, last = event("MUG@main", 1, "stock.changed"), event("MUG@main", 2, "stock.changed")
    async with subscribed(queue, hear):
        await record(database, first, second)
        await until(lambda: len(heard) == 2)
        client = await nats.connect(queue.url)
        for each in (first, second):  # as `stockward events republish` does
            await client.jetstream().publish("stockward.v1.stock.changed.MUG", each.SerializeToString())
        await client.close()
        await record(database, anew, last)
        await until(lambda: heard[-1] == last.event_id)
    assert heard == [each.event_id for each in (first, second, anew, last)]


async def test_cancelling_ends_it_whatever_it_does(database: Pool, queue: Nats) -> None:
    heard = asyncio.Event()

    async def hear(_: Event) -> None:
        heard.set()

    await record_many(database, 1, 50)
    for _ in range(10):
        heard.clear()
        async with subscribed(queue, hear):  # cancelled while the event is acknowledged
            await heard.wait()


async def test_nats_may_be_restarted(database: Pool, queue: Nats) -> None:
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        heard.append(event)

    async with subscribed(queue, hear, ack_wait=1.0):
        await record(database, event("order", 1))
        await until(lambda: len(heard) == 1)
        await queue.kill()
        await record(database, event("order", 2))
        await queue.start()
        await until(lambda: len(heard) == 2)
    assert versions(heard) == {"order": [1, 2]}


async def test_a_message_that_is_no_event_is_left_out_and_holds_nothing_up(database: Pool, queue: Nats) -> None:
    heard: list[int] = []
    left_out: list[tuple[str, bytes]] = []
    lags: list[int] = []

    async def hear(event: Event) -> None:
        heard.append(event.aggregate_version)

    async def leave_out(subject: str, data: bytes) -> None:
        left_out.append((subject, data))

    await record(database, event("order", 1))
    await until(lambda: drained(database))
    client = await nats.connect(queue.url)
    for data in (b"\xff\xff", b""):
        await client.jetstream().publish("stockward.v1.order.created.fake", data)
    await client.close()
    await record(database, event("order", 2))
    await until(lambda: drained(database))
    async with subscribed(queue, hear, on_unreadable=leave_out, on_lag=lags.append):
        await until(lambda: heard == [1, 2] and lags[-1:] == [0])
    assert left_out == [("stockward.v1.order.created.fake", data) for data in (b"\xff\xff", b"")]
    assert lags[:4] == [3, 2, 1, 0]


async def test_what_cannot_work_is_told(queue: Nats) -> None:
    async def hear(_: Event) -> None:
        """Takes all."""

    async with subscribed(queue, hear):
        await until(lambda: has_consumer(queue))
    with pytest.raises(nats.errors.Error, match="deliver policy"):
        await asyncio.wait_for(subscribe(queue.url, "tests", hear, only_new=True), 10)


async def has_consumer(queue: Nats) -> bool:
    client = await nats.connect(queue.url)
    try:
        return bool(await client.jetstream().consumers_info(STREAM))
    except nats.js.errors.NotFoundError:
        return False
    finally:
        await client.close()


async def test_a_delivered_webhook_is_verified(database: Pool, database_url: str, tmp_path: Path) -> None:
    async with webhook_stack(database, database_url, tmp_path) as stack:
        await stack.start()
        sent = event("0190", 7)
        sent.order.order_id = sent.aggregate_id
        await record(database, sent)
        await until(lambda: stack.storefront.taken)
    (hook,) = stack.storefront.taken
    sent.ClearField("actor")  # that is between staff

    assert verify_webhook(hook.body, hook.headers, SECRET) == sent
    thin = thin_body_of(sent.SerializeToString(), "")
    told = verify_webhook(thin, headers_of(sent.event_id, thin, [SECRET], datetime.now(UTC)), SECRET)
    assert (told.event_id, told.aggregate_version, told.WhichOneof("data")) == (sent.event_id, 7, None)
    assert verify_webhook(hook.body.decode(), {k.title(): v for k, v in hook.headers.items()}, SECRET) == sent
    other = "whsec_" + "A" * 32
    assert verify_webhook(hook.body, hook.headers, [other, SECRET]) == sent
    headers = hook.headers
    for body, wrong, secret in (
        (hook.body + b" ", headers, SECRET),
        (hook.body, headers, other),
        (hook.body, headers, []),
        (hook.body, headers | {"webhook-timestamp": "1700000000"}, SECRET),
        (hook.body, headers | {"webhook-signature": "nonsense"}, SECRET),
        (hook.body, {}, SECRET),
    ):
        with pytest.raises(WebhookNotVerified):
            verify_webhook(body, wrong, secret)
