"""What the gateway makes of receivers that misbehave, and of whatever dies: nothing is lost, and order is kept."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from stockward_dev import free_port
from stockward_server.bootstrap import gateway as bootstrap
from stockward_server.config import Environment, Settings
from stockward_server.gateway import Egress
from stockward_server.storage.database import Pool
from stockward_server.storage.events.event_log import Selection, republish
from stockward_server.storage.webhooks.feed import WebhookFeed
from tests.events import STREAM, event, record, record_many, running, until
from tests.receiver import SECRET, Hook, never, take
from tests.webhooks import (
    SLOW,
    WHO,
    Stack,
    created,
    has_attempts,
    ids,
    in_order,
    is_done,
    is_up,
    make_due,
    no_lanes,
    outbox_is_empty,
    redirect,
    refuse,
    webhook_stack,
)

pytestmark = pytest.mark.long

LEASE_SECONDS = 0.6

KILLED_GATEWAY = """
import asyncio, json, sys
from stockward_server import gateway
from stockward_server.gateway import LOOPBACK, Egress
from stockward_server.api.events.encoder import encode_event
egress = Egress.of(LOOPBACK, require_https=False)
arguments = json.loads(sys.argv[1])
asyncio.run(gateway.run(**arguments, encode_event=encode_event, egress=egress, stop=asyncio.Event()))
"""


@pytest.fixture
async def stack(database: Pool, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with webhook_stack(database, database_url, tmp_path) as running_stack:
        yield running_stack


# What counts as taken


@pytest.mark.parametrize(
    ("behaviour", "status", "error"),
    [
        (refuse, 500, "HTTP 500"),
        (redirect, 302, "HTTP 302"),
        (never, None, "no whole answer within 1 s"),
    ],
)
async def test_anything_but_2xx_in_time_is_a_failure(
    stack: Stack, behaviour: Any, status: int | None, error: str
) -> None:
    stack.storefront.behaviour = behaviour
    await stack.start(timeout_seconds=1.0 if status is None else 10.0)
    await record(stack.pool, event("a", 1))
    await until(lambda: len(stack.storefront.hooks) == 2)
    stack.storefront.behaviour = created
    await until(lambda: is_done(stack, "storefront"))

    first, *_, last = await stack.attempts()
    assert (first["attempt"], first["status"], first["error"]) == (1, status, error)
    assert (last["status"], last["error"]) == (201, "")
    assert last["attempt"] == len(stack.storefront.hooks)
    assert len(set(ids(stack.storefront.hooks))) == 1
    if status == 500:
        assert first["excerpt"].startswith("no\N{REPLACEMENT CHARACTER}t today!!!")
        assert len(first["excerpt"]) == 1024
    if status is None:
        assert first["latency_ms"] >= 990


async def test_nobody_listening_is_a_failure_and_tried_again(stack: Stack) -> None:
    await stack.start(urls={"storefront": "http://127.0.0.1:1/hook"})
    await record(stack.pool, event("a", 1))
    await until(lambda: has_attempts(stack, 2))
    first, *_ = await stack.attempts()
    assert first["status"] is None
    assert "ClientConnectorError" in first["error"]


async def test_this_machine_is_no_place_for_webhooks_in_production(stack: Stack) -> None:
    urls = {"storefront": stack.storefront.url, "pms": stack.pms.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")}
    await stack.start(urls=urls, egress=Egress(require_https=False))
    await record(stack.pool, event("a", 1))
    await until(lambda: is_done(stack, "storefront"))
    await until(lambda: is_done(stack, "pms"))
    assert stack.storefront.hooks == stack.pms.hooks == []
    for endpoint_id in WHO:
        attempts = await stack.attempts(endpoint_id)
        errors = [row["error"] for row in attempts]
        assert all("not an address of the public Internet" in error for error in errors), errors


async def test_the_settings_of_production_refuse_plain_http_and_this_machine(stack: Stack) -> None:
    settings = Settings.model_validate(
        {
            "database_url": stack.database_url,
            "event_queue_url": stack.nats.url,
            "gateway_address": f"127.0.0.1:{free_port()}",
            "storefront_webhook_url": stack.storefront.url,
            "pms_webhook_url": stack.pms.url.replace("http:", "https:"),
            "webhook_secret": SECRET,
        }
    ).model_copy(update={"environment": Environment.PRODUCTION, "shutdown_grace_seconds": 0.2})
    async with running(functools.partial(bootstrap.gateway, settings)):
        await until(lambda: is_up(settings.gateway_address))
        await record(stack.pool, event("a", 1))
        for endpoint_id, reason in (("storefront", "https only"), ("pms", "not an address of the public Internet")):
            await until(functools.partial(stack.attempts, endpoint_id))
            (attempt,) = await stack.attempts(endpoint_id)
            assert attempt["status"] is None
            assert reason in attempt["error"]
    assert stack.storefront.hooks == stack.pms.hooks == []


# Whatever dies


async def test_retries_survive_a_restart(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    async with AsyncExitStack() as first:
        await stack.start(first, retry_delays=SLOW)
        await record(stack.pool, event("a", 1), event("a", 2), event("b", 1))
        await until(lambda: len(stack.storefront.hooks) == 2 and len(stack.pms.taken) == 3)
    assert await stack.pending() == 3
    await make_due(stack)
    stack.storefront.behaviour = take

    await stack.start()
    await until(lambda: len(stack.storefront.taken) == 3)
    assert stack.storefront.versions() == {"a": [1, 2], "b": [1]}


async def test_a_request_under_way_at_the_stop_is_sent_again_by_the_next_gateway_at_once(stack: Stack) -> None:
    stack.storefront.behaviour = never
    async with AsyncExitStack() as first:
        await stack.start(first)
        await record(stack.pool, event("a", 1), event("a", 2))
        await until(lambda: stack.storefront.hooks)
    stack.storefront.behaviour = take

    await stack.start(lease_seconds=600.0)
    await until(lambda: len(stack.storefront.taken) == 2)
    assert stack.storefront.versions() == {"a": [1, 2]}
    assert stack.storefront.hooks[0].event_id == stack.storefront.taken[0].event_id


async def test_killed_between_sending_and_writing_it_sends_again_under_the_same_id(stack: Stack) -> None:
    arguments = stack.arguments(lease_seconds=2.0, timeout_seconds=0.9)
    plain = {name: value for name, value in arguments.items() if name not in ("encode_event", "egress")}
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED_GATEWAY, json.dumps(plain))
    await until(lambda: is_up(arguments["address"]))

    async def kill_the_sender(hook: Hook) -> None:
        if hook.aggregate_id == "a" and hook.version == 2 and killed.returncode is None:
            killed.kill()
            await killed.wait()

    stack.storefront.behaviour = kill_the_sender
    await record(stack.pool, *(event("a", version) for version in range(1, 5)))
    await until(lambda: killed.returncode is not None)

    await stack.start()
    await until(lambda: stack.storefront.versions().get("a", [])[-1:] == [4])
    versions = stack.storefront.versions()["a"]
    assert versions.count(2) == 2
    assert sorted(set(versions)) == [1, 2, 3, 4]
    assert versions == sorted(versions) or versions == [1, 2, 1, 2, 3, 4]  # the first was perhaps not written either
    sent_twice = [hook.event_id for hook in stack.storefront.taken if hook.version == 2]
    assert len(set(sent_twice)) == 1


async def test_a_lane_is_given_back_by_the_middle_of_its_lease(stack: Stack) -> None:
    """What is sent later might still be under way when another gateway claims the lane."""
    sent_under: list[datetime] = []

    async def lease_end() -> datetime:
        found: datetime = await stack.pool.fetchval("SELECT due_time FROM lanes WHERE endpoint_id = 'storefront'")
        return found

    async def take_until_the_middle(_: Hook) -> None:
        end = await lease_end()
        sent_under.append(end)
        middle = end - timedelta(seconds=LEASE_SECONDS / 2)
        await until(lambda: stack.pool.fetchval("SELECT clock_timestamp() > $1", middle))

    async with AsyncExitStack() as first:  # it has the deliveries made
        stack.storefront.behaviour = refuse
        await stack.start(first, retry_delays=SLOW)
        await record(stack.pool, event("a", 1), event("a", 2))
        await until(lambda: stack.storefront.hooks and len(stack.pms.taken) == 2)
    await make_due(stack)
    stack.storefront.behaviour = take_until_the_middle
    await stack.start(lease_seconds=LEASE_SECONDS)
    await until(lambda: len(stack.storefront.taken) == 2)
    assert sent_under[0] < sent_under[1]


async def test_two_gateways_share_the_work_without_sending_twice(stack: Stack) -> None:
    await stack.start()
    await stack.start()
    await record_many(stack.pool, 50, 12)
    await until(lambda: len(stack.storefront.taken) >= 600 and len(stack.pms.taken) >= 600, 40)
    await until(lambda: no_lanes(stack))

    for each in (stack.storefront, stack.pms):
        assert each.versions() == in_order(50, 12)
        assert len(ids(each.hooks)) == len(set(ids(each.hooks))) == 600


async def test_another_gateway_takes_over_the_feed(stack: Stack) -> None:
    async with AsyncExitStack() as first:
        await stack.start(first)
        await stack.start()
        await record_many(stack.pool, 5, 2)
        await until(lambda: len(stack.storefront.taken) == 10)
    await record_many(stack.pool, 5, 2, "order.cancelled")
    await until(lambda: len(stack.storefront.taken) == 20)


async def test_a_restart_of_nats_and_a_cut_from_postgresql(stack: Stack) -> None:
    await stack.start()
    writing = asyncio.create_task(record_many(stack.pool, 30, 20))
    await until(lambda: stack.storefront.taken)
    await stack.nats.restart()
    await writing
    await until(lambda: len(stack.storefront.taken) > 100, 40)
    await stack.pool.execute(  # whatever is connected: pools, the lead of the feed, the shards of the relay
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await until(lambda: len(set(ids(stack.storefront.taken))) == len(set(ids(stack.pms.taken))) == 600, 40)
    for each in (stack.storefront, stack.pms):
        first_time = {hook.event_id: (hook.aggregate_id, hook.version) for hook in each.taken}.values()
        assert [version for aggregate_id, version in first_time if aggregate_id == "a7"] == list(range(1, 21))


async def test_an_endpoint_without_a_secret_is_sent_nothing(stack: Stack) -> None:
    await stack.start(urls={})
    await stack.pool.execute(
        "INSERT INTO endpoints VALUES ('bare', $1, '', '{*}', 32, true, '', now(), now())", stack.storefront.url
    )
    await record(stack.pool, event("a", 1))
    await until(lambda: is_done(stack, "bare"))
    assert stack.storefront.hooks == []
    assert {row["error"] for row in await stack.attempts("bare")} == {"cannot be sent: ValueError"}


async def test_a_stream_that_was_lost_and_refilled_is_told_once(stack: Stack) -> None:
    async with AsyncExitStack() as first:
        await stack.start(first)
        await record_many(stack.pool, 10, 3)
        await until(lambda: len(stack.storefront.taken) == len(stack.pms.taken) == 30)
    client = await nats.connect(stack.nats.url)
    await client.jetstream().delete_stream(STREAM)
    await client.close()
    await record_many(stack.pool, 10, 2, "order.cancelled")
    await until(lambda: outbox_is_empty(stack))
    assert await republish(stack.pool, Selection()) == 50
    await until(lambda: outbox_is_empty(stack))

    await stack.start()  # the message that it was at is another one now
    await until(lambda: len(stack.storefront.taken) >= 50 and len(stack.pms.taken) >= 50)
    await until(lambda: no_lanes(stack))
    assert len(set(ids(stack.storefront.hooks))) == len(stack.storefront.hooks) == 50


async def test_a_stream_that_is_lost_while_it_is_read(stack: Stack) -> None:
    await stack.start()
    await record_many(stack.pool, 10, 3)
    await until(lambda: len(stack.storefront.taken) == 30)
    client = await nats.connect(stack.nats.url)
    await client.jetstream().delete_stream(STREAM)
    await client.close()
    await record_many(stack.pool, 10, 2, "order.cancelled")
    await until(lambda: len(stack.storefront.taken) >= 50, 40)
    assert len(set(ids(stack.storefront.hooks))) == len(stack.storefront.hooks) == 50


async def test_one_gateway_feeds_at_a_time(database_url: str) -> None:
    def lost(reason: str) -> None: ...

    async with WebhookFeed.open(database_url, STREAM, lost) as second:
        async with WebhookFeed.open(database_url, STREAM, lost) as first:
            assert await first.lead()
            assert not await second.lead()
        await until(second.lead)


async def test_a_message_that_is_no_event_is_left_out(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    await stack.start()
    await record(stack.pool, event("a", 1))
    await until(lambda: stack.storefront.taken)
    client = await nats.connect(stack.nats.url)
    await client.jetstream().publish("stockward.v1.order.created.fake", b"\xff\xff")
    await client.close()
    await record(stack.pool, event("a", 2))
    await until(lambda: len(stack.storefront.taken) == 2)
    assert "is no event of ours" in caplog.text


async def test_an_event_that_is_no_longer_kept_is_given_up(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    await stack.start()
    await record(stack.pool, event("a", 1))
    await until(lambda: stack.storefront.hooks)
    await stack.pool.execute("DELETE FROM events")
    await until(lambda: is_done(stack, "storefront"))
    *_, last = await stack.attempts()
    assert last["error"] == "the event is no longer kept"
