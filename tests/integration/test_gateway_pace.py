"""Receivers that fail, ask for time, hang or have limits: when each is sent something, and how long others wait."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from statistics import median

import pytest
from aiohttp import web
from stockward.webhook.v1.webhook_pb2 import EnableEndpointRequest

from stockward_server.config import Settings
from stockward_server.gateway.endpoint_limiter import BreakerPolicy
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import read_backlog
from tests.events import event, record, record_many, until
from tests.receiver import Hook, Receiver, never, take
from tests.shop import running_shop
from tests.webhooks import SLOW, Stack, failing_since, health, in_order, is_done, no_lanes, refuse, webhook_stack

pytestmark = pytest.mark.long

STUBBORN = (timedelta(seconds=0.2),) * 200
PATIENT_BREAKER = BreakerPolicy(failures=1_000_000)


@pytest.fixture
async def stack(database: Pool, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with webhook_stack(database, database_url, tmp_path) as running_stack:
        yield running_stack


async def test_an_endpoint_that_only_fails_is_left_alone_and_goes_on_when_it_is_back(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    breaker = BreakerPolicy(failures=5, first_rest=0.3, longest_rest=0.3)
    address = await stack.start(retry_delays=STUBBORN, breaker=breaker)
    await record_many(stack.pool, 200, 2)
    await until(lambda: len(stack.pms.taken) == 400)
    await until(lambda: len(stack.storefront.hooks) >= 36)  # a few single trials
    assert len(stack.storefront.hooks) < 100
    assert (await health(address))["open_breakers"] == ["storefront"]
    stack.storefront.behaviour = take
    await until(lambda: len(stack.storefront.taken) == 400)
    assert stack.storefront.versions() == in_order(200, 2)
    assert (await health(address))["open_breakers"] == []


async def test_one_that_staff_say_is_back_is_not_left_alone_any_longer(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    address = await stack.start(retry_delays=SLOW, breaker=BreakerPolicy(failures=3, first_rest=300))
    await record_many(stack.pool, 10, 2)

    async def is_left_alone() -> bool:
        return bool((await health(address))["open_breakers"] and await failing_since(stack))

    await until(is_left_alone)
    stack.storefront.behaviour = take
    settings = {"database_url": stack.database_url, "event_queue_url": stack.nats.url}
    async with running_shop(Settings.model_validate(settings)) as shop:
        enabled = await shop.pms.webhooks.EnableEndpoint(EnableEndpointRequest(endpoint_id="storefront"))
        assert not enabled.HasField("failing_since")
        await until(lambda: len(stack.storefront.taken) == 20)
    assert stack.storefront.versions() == in_order(10, 2)


async def test_what_waits_is_sent_once_staff_say_so_though_the_gateway_saw_first_that_it_is_back(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    await stack.start(retry_delays=SLOW)
    await record(stack.pool, event("a", 1))
    await until(lambda: failing_since(stack))
    stack.storefront.behaviour = take
    await record(stack.pool, event("b", 1))

    async def is_back() -> bool:
        return not await failing_since(stack)

    await until(is_back)
    settings = {"database_url": stack.database_url, "event_queue_url": stack.nats.url}
    async with running_shop(Settings.model_validate(settings)) as shop:
        await shop.pms.webhooks.EnableEndpoint(EnableEndpointRequest(endpoint_id="storefront"))
        await until(lambda: len(stack.storefront.taken) == 2)


async def test_what_is_under_way_while_staff_say_so_is_tried_again_at_once(stack: Stack) -> None:
    release = asyncio.Event()

    async def hang_once(hook: Hook) -> web.Response | None:
        if hook.aggregate_id != "a" or release.is_set():
            return None
        await release.wait()
        return web.Response(status=500)

    stack.storefront.behaviour = hang_once
    await stack.start(retry_delays=SLOW)
    await record(stack.pool, event("a", 1))
    await until(lambda: stack.storefront.hooks)
    await stack.pool.execute("UPDATE endpoints SET version = version + 1 WHERE endpoint_id = 'storefront'")
    await is_read_anew(stack)
    release.set()
    await until(lambda: [hook.aggregate_id for hook in stack.storefront.taken].count("a") == 1)


async def test_what_waits_for_an_endpoint_that_fails_does_not_make_the_gateway_late(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    async with AsyncExitStack() as gateway:
        await stack.start(gateway, retry_delays=SLOW, breaker=BreakerPolicy(failures=3, first_rest=300))
        await record_many(stack.pool, 50, 1)
        await until(lambda: failing_since(stack))
        await until(lambda: len(stack.pms.taken) == 50)
        await until(lambda: stack.pool.fetchval("SELECT NOT EXISTS (SELECT FROM lanes WHERE endpoint_id = 'pms')"))
        await _due_for_an_hour(stack)
        assert (await read_backlog(stack.pool)).deliveries_age < 600

    await record(stack.pool, event("late", 1))
    await stack.pool.execute("INSERT INTO lanes VALUES ('pms', 'late', now())")  # as a gateway that stopped leaves it
    await _due_for_an_hour(stack)
    assert (await read_backlog(stack.pool)).deliveries_age >= 3600


async def _due_for_an_hour(stack: Stack) -> None:
    await stack.pool.execute("UPDATE lanes SET due_time = now() - interval '1 hour'")


async def test_an_endpoint_that_asks_for_time_right_after_a_success_fails(stack: Stack) -> None:
    asked: list[Hook] = []

    async def enough(hook: Hook) -> web.Response | None:
        asked.append(hook)
        return web.Response(status=429, headers={"retry-after": "300"}) if len(asked) > 1 else None

    stack.storefront.behaviour = enough
    await stack.start()
    await record_many(stack.pool, 1, 2)  # in one lane, a moment apart
    await until(lambda: failing_since(stack))
    assert len(stack.storefront.taken) == 1


async def test_a_receiver_that_asks_for_time_is_left_alone(stack: Stack) -> None:
    asked: list[float] = []

    async def only_later(hook: Hook) -> web.Response | None:
        asked.append(time.monotonic())
        return web.Response(status=429, headers={"retry-after": "2"}) if len(asked) == 1 else None

    stack.storefront.behaviour = only_later
    await stack.start()
    await record(stack.pool, event("a", 1))
    await until(lambda: asked)
    await record(stack.pool, event("b", 1))
    await until(lambda: len(stack.storefront.taken) == 2)
    assert asked[1] - asked[0] >= 2
    assert len(asked) == 3


async def test_a_rate_limit_is_kept_and_delays_nobody_else(stack: Stack) -> None:
    await stack.start()
    await stack.pool.execute("UPDATE endpoints SET rate_limit = 4, version = 2 WHERE endpoint_id = 'storefront'")
    await takes_effect(stack)
    for each in (stack.storefront, stack.pms):
        each.taken.clear()
    begin = time.monotonic()
    await record_many(stack.pool, 3, 6)  # in lanes that hold more than one
    await until(lambda: len(stack.pms.taken) == 18)
    assert len(stack.storefront.taken) < 18
    await until(lambda: len(stack.storefront.taken) == 18)
    assert time.monotonic() - begin > 4
    assert stack.storefront.versions() == in_order(3, 6)


async def test_headers_url_and_places_of_the_endpoint_take_effect(stack: Stack) -> None:
    await stack.start()
    await stack.pool.execute(
        "UPDATE endpoints SET url = $1, max_in_flight = 1, version = 2 WHERE endpoint_id = 'storefront'", stack.pms.url
    )
    await takes_effect(stack)
    heard = len(stack.storefront.hooks)
    stack.pms.taken.clear()
    at_once, most_at_once = 0, 0

    async def work_a_while(hook: Hook) -> None:
        nonlocal at_once, most_at_once
        if hook.headers.get("x-change") == "1":
            at_once += 1
            most_at_once = max(at_once, most_at_once)
            await asyncio.sleep(0.005)
            at_once -= 1

    stack.pms.behaviour = work_a_while
    await record_many(stack.pool, 10, 1)
    await until(lambda: len([hook for hook in stack.pms.taken if hook.headers.get("x-change") == "1"]) >= 10)
    assert len(stack.storefront.hooks) == heard
    assert most_at_once == 1


async def takes_effect(stack: Stack) -> None:
    """Waits until the gateway has read its endpoints again, and nothing is under way that was sent before."""
    await is_read_anew(stack)
    await until(lambda: no_lanes(stack))


async def is_read_anew(stack: Stack) -> None:
    """A header says so, set after all the rest."""
    await stack.pool.execute(
        "UPDATE endpoints SET headers = $1 WHERE endpoint_id = 'storefront'", {"x-change": "1", "authorization": "x y"}
    )
    taken = [stack.storefront.taken, stack.pms.taken]

    async def is_seen() -> bool:
        probe = f"probe{random.random()}"
        await record(stack.pool, event(probe, 1))
        await until(lambda: _are_delivered(stack, probe))
        return any(hook.headers.get("x-change") == "1" for each in taken for hook in each)

    await until(is_seen)


async def _are_delivered(stack: Stack, aggregate_id: str) -> bool:
    """To both endpoints; an event that is not yet fanned out must not reach a receiver later."""
    return bool(
        await stack.pool.fetchval(
            "SELECT count(*) = 2 FROM deliveries WHERE aggregate_id = $1 AND state = 2", aggregate_id
        )
    )


async def test_a_great_event_is_sent_thin(stack: Stack) -> None:
    await stack.start(public_url="https://api.shop.example")
    great, small = event("a", 1), event("a", 2)
    for number in range(300):
        great.order.lines.add(sku=f"SKU-{number}", title="A title of some length " * 3)
    await record(stack.pool, great, small)
    await until(lambda: len(stack.storefront.taken) == 2)
    first, second = stack.storefront.taken
    assert len(first.body) < 1000 < 20_480 < len(great.SerializeToString())
    assert first.data["data"] == {
        "eventId": great.event_id,
        "type": "order.created",
        "aggregateType": "order",
        "aggregateId": "a",
        "aggregateVersion": "1",
        "time": great.time.ToJsonString(),
        "truncated": True,
        "link": "https://api.shop.example/api/storefront/events?aggregate_id=a&types=order.created",
    }
    assert first.data["timestamp"] == great.time.ToJsonString()
    assert "truncated" not in second.data["data"]


async def test_through_flapping_receivers_every_event_is_received_in_order_or_dead(stack: Stack) -> None:
    """Two gateways, receivers that fail by chance in every way, and some events that are never taken."""
    chance = random.Random(7)

    async def flap(hook: Hook) -> web.Response | None:
        if hook.version % 7 == 0:
            return web.Response(status=422)
        match chance.randrange(10):
            case 0:
                return web.Response(status=503, headers={"retry-after": "0"})
            case 1:
                await never(hook)
            case 2:
                return web.Response(status=302, headers={"location": "/hook"})
            case 3:
                raise ConnectionResetError
        return None

    stack.storefront.behaviour = flap
    for _ in range(2):
        await stack.start(
            retry_delays=(timedelta(seconds=0.05),) * 30, timeout_seconds=0.3, breaker=BreakerPolicy(8, 0.05, 0.1)
        )
    await record_many(stack.pool, 15, 8)
    await until(lambda: is_done(stack, "storefront", 15 * 8))
    await until(lambda: no_lanes(stack))
    rows = await stack.pool.fetch(
        "SELECT d.aggregate_id, e.aggregate_version AS version FROM deliveries d JOIN events e USING (seq) "
        "WHERE endpoint_id = 'storefront' AND d.state = 3"
    )
    dead = {(row["aggregate_id"], row["version"]) for row in rows}
    assert {(f"a{i}", 7) for i in range(15)} <= dead
    first_versions = stack.storefront.first_versions()
    assert {*first_versions} == {*in_order(15, 8)}
    for aggregate_id, versions in first_versions.items():
        assert versions == sorted(versions)
        assert {*versions} | {version for each, version in dead if each == aggregate_id} == {*range(1, 9)}
    assert stack.pms.first_versions() == in_order(15, 8)


@pytest.mark.timed
async def test_a_dead_endpoint_with_100_000_deliveries_that_are_due_delays_nobody(stack: Stack) -> None:
    await stack.start(urls={"pms": stack.pms.url})

    async def latencies() -> list[float]:
        found = []
        for _ in range(60):
            told_of = event(f"x{random.random()}", 1)
            begin = time.monotonic()
            await record(stack.pool, told_of)
            await until_taken(stack.pms, told_of.event_id)
            found.append(time.monotonic() - begin)
        return sorted(found)

    await latencies()
    alone = await latencies()
    await stack.pool.execute(
        """
        INSERT INTO endpoints VALUES ('dead', 'http://127.0.0.1:1/', '', '{none.*}', 32, true, '', now(), now());
        INSERT INTO endpoint_secrets SELECT 'dead', secret, now() FROM endpoint_secrets LIMIT 1;
        INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time)
        SELECT 'dead', gen_random_uuid(), 'a' || i % 50000, 'none.none', e.seq, e.create_time
        FROM generate_series(1, 100000) i, (SELECT seq, create_time FROM events LIMIT 1) e;
        INSERT INTO lanes SELECT 'dead', 'a' || i, now() FROM generate_series(0, 49999) i;
        """
    )
    await until(lambda: stack.pool.fetchval("SELECT EXISTS (SELECT FROM delivery_attempts WHERE endpoint_id = 'dead')"))
    beside = await latencies()
    assert median(beside) < 2 * median(alone) + 0.05
    assert beside[-2] < 2 * alone[-2] + 0.25
    assert await stack.pool.fetchval("SELECT count(*) FROM delivery_attempts WHERE endpoint_id = 'dead'") < 5000


async def until_taken(receiver: Receiver, event_id: str) -> None:
    deadline = time.monotonic() + 20
    while not any(hook.event_id == event_id for hook in receiver.taken[-5:]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_ten_endpoints_that_hang_delay_nobody(stack: Stack) -> None:
    stack.storefront.behaviour = never
    await stack.start(timeout_seconds=5.0)
    for number in range(10):
        await stack.pool.execute(
            "INSERT INTO endpoints SELECT $1, url, '', types, 32, true, '', create_time, now() "
            "FROM endpoints WHERE endpoint_id = 'storefront'",
            f"hangs{number}",
        )
        await stack.pool.execute(
            "INSERT INTO endpoint_secrets SELECT $1, secret, now() FROM endpoint_secrets "
            "WHERE endpoint_id = 'storefront'",
            f"hangs{number}",
        )
    await record_many(stack.pool, 40, 2)
    await until(lambda: len(stack.pms.taken) == 80)
    assert stack.pms.versions() == in_order(40, 2)
