"""The gateway: every event at every endpoint that wants it, in order per aggregate, until it is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.order.v1 import order_pb2
from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_server.config import Settings
from stockward_server.domain.endpoint import MAX_IN_FLIGHT
from stockward_server.storage.database import Pool
from stockward_server.storage.webhooks.claims import CLAIM
from stockward_server.storage.write.retention import delete_finished_deliveries
from tests.batches import batches, note_batches
from tests.events import event, record, record_many, until
from tests.receiver import Hook, Receiver, never, take
from tests.shop import money, running_shop
from tests.webhooks import (
    QUICK,
    SLOW,
    WHO,
    Stack,
    in_order,
    make_due,
    no_lanes,
    refuse,
    webhook_stack,
)


@pytest.fixture
async def stack(database: Pool, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with webhook_stack(database, database_url, tmp_path) as running_stack:
        yield running_stack


# What is sent, and to whom


async def test_what_comes_while_one_before_it_is_sent_follows_at_once(stack: Stack) -> None:
    release = asyncio.Event()

    async def slow(hook: Hook) -> None:
        if hook.version == 1:
            await release.wait()

    async def both_wait() -> bool:
        query = "SELECT count(*) = 2 FROM deliveries WHERE endpoint_id = 'storefront' AND state = 1"
        return bool(await stack.pool.fetchval(query))

    stack.storefront.behaviour = slow
    await stack.start(poll_seconds=60)
    for number in range(8):  # a matter of milliseconds each time
        release.clear()
        stack.storefront.hooks.clear()
        stack.storefront.taken.clear()
        await record(stack.pool, event(f"a{number}", 1))
        await until(lambda: stack.storefront.hooks)
        await record(stack.pool, event(f"a{number}", 2))
        await until(both_wait)
        release.set()
        await until(lambda: len(stack.storefront.taken) == 2)


async def test_a_webhook_is_signed_and_tells_the_event(stack: Stack) -> None:
    await stack.start()
    told = event("018f9a2e-0000-7000-8000-000000000001", 1)
    told.order.order_id = told.aggregate_id
    told.order.totals.total.units = 12
    await record(stack.pool, told)

    await until(lambda: stack.storefront.taken and stack.pms.taken)

    (hook,) = stack.storefront.taken  # the receiver has verified the signature with the standardwebhooks library
    assert hook.event_id == told.event_id
    assert hook.headers["content-type"] == "application/json; charset=utf-8"
    assert hook.headers["user-agent"].startswith("Stockward/")
    assert hook.data["type"] == "order.created"
    assert hook.data["timestamp"] == told.time.ToJsonString()
    data = hook.data["data"]
    assert (data["eventId"], data["aggregateId"], data["aggregateVersion"]) == (told.event_id, told.aggregate_id, "1")
    assert data["order"]["totals"]["total"]["units"] == "12"
    assert data["order"]["lines"] == []  # what is empty is reported, too


async def test_each_endpoint_hears_the_types_it_wants(stack: Stack) -> None:
    await stack.start()
    types = ["product.unpublished", "stock.changed", "stock.low", "reservation.created", "reservation.expired"]
    types += ["order.created", "payment.updated"]
    await record(stack.pool, *(event(f"x{i}@main", 1, kind) for i, kind in enumerate(types)))
    await until(lambda: len(stack.storefront.taken) == 4 and len(stack.pms.taken) == 4)

    await record(stack.pool, event("last", 1))
    await until(lambda: len(stack.storefront.taken) == 5 and len(stack.pms.taken) == 5)

    heard = {name: {hook.data["type"] for hook in each.taken} for name, each in vars(stack).items() if name in WHO}
    assert heard["storefront"] == {"product.unpublished", "reservation.expired", "order.created", "payment.updated"}
    assert heard["pms"] == {"product.unpublished", "stock.low", "order.created", "payment.updated"}


async def test_the_storefront_hears_of_products_and_stock_while_they_are_for_sale(
    stack: Stack, settings: Settings
) -> None:
    def heard(receiver: Receiver) -> list[tuple[str, str]]:
        events = [hook.data["data"] for hook in receiver.taken]
        return [
            (each["type"], each["product"]["title"] if "product" in each else each["stock"]["sku"]) for each in events
        ]

    await stack.start()
    async with running_shop(settings.model_copy(update={"event_queue_url": SecretStr(stack.nats.url)})) as shop:
        variants = [catalog.Variant(sku="LAMP", price=money("9.00"))]
        draft = catalog.Product(title="Codename", variants=variants)
        product = await shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=draft))
        named = {"product_id": product.product_id}

        async def retitle(title: str) -> None:
            edit = catalog.UpdateProductRequest(product=catalog.Product(title=title, **named))
            edit.update_mask.paths.append("title")
            await shop.pms.catalog.UpdateProduct(edit)

        await shop.receive("LAMP", 5)
        await retitle("Lamp")
        await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(**named))
        await shop.receive("LAMP", 1)
        await retitle("Large lamp")
        seen = [("product.published", "Lamp"), ("stock.changed", "LAMP"), ("product.updated", "Large lamp")]
        await until(lambda: sorted(heard(stack.storefront)) == sorted(seen))
        await shop.pms.catalog.UnpublishProduct(catalog.UnpublishProductRequest(**named))
        seen.append(("product.unpublished", "Large lamp"))
        await until(lambda: sorted(heard(stack.storefront)) == sorted(seen))
        await shop.receive("LAMP", 1)
        await retitle("Second codename")
        await until(lambda: ("product.updated", "Second codename") in heard(stack.pms))
        assert sorted(heard(stack.storefront)) == sorted(seen)

        await shop.pms.webhooks.PingEndpoint(webhooks.PingEndpointRequest(endpoint_id="storefront"))
        await until(lambda: stack.storefront.taken[-1].data["type"] == "endpoint.pinged")
        stack.storefront.taken.clear()
        replay = webhooks.ReplayEventsRequest(endpoint_id="storefront", types=["*"])
        replay.start_time.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
        await shop.pms.webhooks.ReplayEvents(replay)
        await until(lambda: heard(stack.storefront) == [("product.unpublished", "Large lamp")])


async def test_the_storefront_is_sent_nothing_that_is_between_staff(stack: Stack) -> None:
    await stack.start()
    charged = event("a", 1, "order.charged")
    charged.order.hold.reason = order_pb2.Hold.REASON_PAYMENT
    charged.order.lines.add(sku="TEE", price_override_reason="a friend")
    charged.order.charge.description, charged.order.charge.reason = "Coupon", "so that they keep quiet"
    charged.order.payment.tenders.add(provider="stripe", payment_reference="pi_1")
    paid = event("a", 4, "payment.updated")
    paid.order.payment.captured.units = 20
    await record(stack.pool, charged, event("a", 2, "order.held"), event("a", 3, "order.released"), paid)

    await until(lambda: len(stack.pms.taken) == 4 and len(stack.storefront.taken) == 2)
    full, seen = (receiver.taken[0].data["data"] for receiver in (stack.pms, stack.storefront))
    assert (full["actor"], seen["actor"]) == ("tests", "")
    assert (full["order"]["lines"][0]["priceOverrideReason"], seen["order"]["lines"][0]["priceOverrideReason"]) == (
        "a friend",
        "",
    )
    assert (full["order"]["charge"]["reason"], seen["order"]["charge"]["reason"]) == ("so that they keep quiet", "")
    assert seen["order"]["charge"]["description"] == "Coupon"
    assert (len(full["order"]["payment"]["tenders"]), seen["order"]["payment"]["tenders"]) == (1, [])
    assert ("hold" in full["order"], "hold" in seen["order"]) == (True, False)
    update = stack.storefront.taken[1].data["data"]
    assert (update["type"], "charge" in update["order"]) == ("payment.updated", False)


async def test_it_tells_what_happens_from_its_beginning_and_not_what_was_before(stack: Stack) -> None:
    await record(stack.pool, event("before", 1), time=datetime.now(UTC) - timedelta(seconds=1))
    await stack.start()
    await record(stack.pool, event("after", 1))
    await until(lambda: stack.storefront.taken)
    assert [hook.aggregate_id for hook in stack.storefront.hooks] == ["after"]


async def test_a_new_secret_and_the_one_before_sign_side_by_side(stack: Stack) -> None:
    new = "whsec_" + "bmV3IHNlY3JldCBvZiAyNCBieXRlcyE="
    async with AsyncExitStack() as first:
        await stack.start(first)
    await stack.start(secrets=dict.fromkeys(WHO, new))
    stack.pms.secret = new  # has gone over; the storefront has not
    await record(stack.pool, event("a", 1))
    await until(lambda: stack.storefront.taken and stack.pms.taken)
    assert len(stack.pms.taken[0].headers["webhook-signature"].split()) == 2


async def test_an_endpoint_taken_out_of_the_settings_is_disabled_and_goes_on_when_it_is_back(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    async with AsyncExitStack() as first:
        await stack.start(first, retry_delays=SLOW)
        await record(stack.pool, event("a", 1))
        await until(lambda: stack.storefront.hooks)
    async with AsyncExitStack() as second:
        await stack.start(second, urls={"pms": stack.pms.url})
        reason = await stack.pool.fetchval(
            "SELECT disable_reason FROM endpoints WHERE endpoint_id = 'storefront' AND NOT enabled"
        )
        assert reason == "not in the settings"
        await record(stack.pool, event("unheard", 1))
        await until(lambda: len(stack.pms.taken) == 2)
        await make_due(stack)
        assert len(stack.storefront.hooks) == 1

    stack.storefront.behaviour = take
    await stack.start()
    await until(lambda: stack.storefront.taken)
    assert [hook.aggregate_id for hook in stack.storefront.taken] == ["a"]


# Order


async def test_order_is_kept_per_aggregate_and_aggregates_go_side_by_side(stack: Stack) -> None:
    together = asyncio.Event()

    async def answer_when_ten_are_there(_: Hook) -> None:
        if stack.storefront.at_once >= 10:
            together.set()
        await together.wait()

    stack.storefront.behaviour = answer_when_ten_are_there
    await stack.start()
    await record_many(stack.pool, 40, 15)
    await until(lambda: len(stack.storefront.taken) == len(stack.pms.taken) == 600, 40)
    assert stack.storefront.versions() == stack.pms.versions() == in_order(40, 15)


async def test_a_failing_delivery_holds_back_its_aggregate_only(stack: Stack) -> None:
    """Every third event of `a1` is refused at first; what is behind it waits."""
    refused: dict[str, int] = {}

    async def refuse_at_first(hook: Hook) -> web.Response | None:
        if hook.aggregate_id != "a1" or hook.version % 3 or refused.get(hook.event_id, 0) == 3:
            return None
        refused[hook.event_id] = refused.get(hook.event_id, 0) + 1
        return web.Response(status=503)

    stack.storefront.behaviour = refuse_at_first
    await stack.start()
    await record_many(stack.pool, 5, 9)
    await until(lambda: len(stack.storefront.taken) == 45)
    await until(lambda: no_lanes(stack))

    assert stack.storefront.versions() == in_order(5, 9)
    assert set(refused.values()) == {3}
    attempts = [row["attempt"] for row in await stack.attempts() if str(row["event_id"]) in refused]
    assert sorted(attempts) == sorted([1, 2, 3, 4] * 3)


async def test_what_is_behind_a_dead_delivery_goes_on(stack: Stack) -> None:
    async def never_the_first(hook: Hook) -> web.Response | None:
        return web.Response(status=500) if hook.version == 1 else None

    stack.storefront.behaviour = never_the_first
    await stack.start()
    await record_many(stack.pool, 1, 3)
    await until(lambda: len(stack.storefront.taken) == 2)
    await until(lambda: no_lanes(stack))

    assert stack.storefront.versions() == {"a0": [2, 3]}
    assert len(stack.storefront.hooks) == len(QUICK) + 1 + 2
    rows = await stack.pool.fetch(
        "SELECT state, attempts, finish_time IS NOT NULL AS finished FROM deliveries "
        "WHERE endpoint_id = 'storefront' ORDER BY seq"
    )
    assert [tuple(row) for row in rows] == [(3, len(QUICK) + 1, True), (2, 1, True), (2, 1, True)]
    assert await stack.pending() == 0


async def test_a_hanging_endpoint_delays_nobody_else(stack: Stack) -> None:
    stack.storefront.behaviour = never
    await stack.start()
    await record_many(stack.pool, 60, 3)
    await until(lambda: len(stack.pms.taken) == 180)
    assert stack.pms.versions() == in_order(60, 3)
    assert 0 < stack.storefront.at_once <= 32


async def test_100_000_pending_deliveries_to_a_dead_endpoint_make_claims_no_slower(stack: Stack) -> None:
    await stack.start(retry_delays=SLOW, urls={"pms": stack.pms.url})
    await stack.pool.execute(
        """
        INSERT INTO endpoints VALUES ('dead', 'http://127.0.0.1:1/', '', '{none.*}', 32, true, '', now(), now());
        INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time)
        SELECT 'dead', gen_random_uuid(), 'a' || i % 50000, 'none.none', i, now() FROM generate_series(1, 100000) i;
        INSERT INTO lanes SELECT 'dead', 'a' || i, now() + '1 hour' FROM generate_series(0, 49999) i;
        ANALYZE lanes, deliveries;
        """
    )
    asked = ["dead", "pms"], [32, 32], timedelta(minutes=1), [2**20, 2**20], 2**20, 20
    async with stack.pool.acquire() as connection:
        await connection.fetch(CLAIM, *asked)  # the first call in a session reads the catalogue
        plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {CLAIM}", *asked))
    assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 20

    await record_many(stack.pool, 20, 5)
    await until(lambda: len(stack.pms.taken) == 100)
    assert stack.pms.versions() == in_order(20, 5)


# Health


async def test_health_tells_the_backlog(stack: Stack) -> None:
    stack.storefront.behaviour = never
    address = await stack.start(urls={"storefront": stack.storefront.url})
    await record_many(stack.pool, 3 * MAX_IN_FLIGHT, 1)

    async def all_wait() -> bool:
        return await stack.pending() == 3 * MAX_IN_FLIGHT and len(stack.storefront.hooks) == MAX_IN_FLIGHT

    await until(all_wait)
    await stack.pool.execute("UPDATE lanes SET due_time = now() - interval '1 hour' WHERE due_time <= now()")
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/healthz") as answer:
        health = await answer.json()
    assert answer.status == 200
    assert 3600 <= health.pop("oldest_due_seconds") < 3700
    assert health == {"status": "ok", "pending": 3 * MAX_IN_FLIGHT, "dead": 0, "failing": [], "open_breakers": []}


async def test_finished_deliveries_go_after_a_while_and_pending_ones_stay(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockward_server.storage.write.retention.BATCH", 4)
    await database.execute(
        """
        INSERT INTO endpoints VALUES ('e', 'http://127.0.0.1:1/', '', '{*}', 32, false, '', now(), now());
        INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state)
        SELECT 'e', (lpad(to_hex((extract(epoch FROM now() - make_interval(days => day)) * 1000)::bigint), 12, '0')
                     || '7' || substr(md5(day::text || state), 1, 19))::uuid,
               'a', 'order.created', day, now() - make_interval(days => day), state
        FROM generate_series(1, 40) day, generate_series(1, 3) state;
        INSERT INTO delivery_attempts SELECT endpoint_id, event_id, n, now(), 1, 200, '', ''
        FROM deliveries, generate_series(1, 2) n;
        """
    )
    await note_batches(database, "deliveries")
    assert await delete_finished_deliveries(database, 30) == 22  # days 30 to 40, delivered and dead
    assert await batches(database) == [4, 4, 4, 4, 4, 2]
    rows = await database.fetch("SELECT state, count(*), max(seq) FROM deliveries GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in rows] == [(1, 40, 40), (2, 29, 29), (3, 29, 29)]
    assert await database.fetchval("SELECT count(*) FROM delivery_attempts") == 2 * (40 + 29 + 29)
