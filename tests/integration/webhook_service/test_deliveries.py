"""Deliveries of WebhookService: sent again, skipped, recovered, replayed, listed."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage.write.retention import delete_finished_deliveries
from tests.endpoints import create_endpoint, deliver, endpoint_of
from tests.events import until
from tests.receiver import Receiver
from tests.shop import Refused, Shop, refused
from tests.webhook_shop import becomes, listening, sold, state_of, taken
from tests.webhooks import QUICK, refuse


async def test_a_dead_letter_is_sent_again_with_its_whole_schedule(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["stock.changed"])
    told.behaviour = refuse
    sku = await sold(shop)
    dead = pb.ListDeliveriesRequest(endpoint_id=endpoint_id, states=[pb.Delivery.STATE_DEAD])

    async def is_dead() -> bool:
        return bool((await shop.pms.webhooks.ListDeliveries(dead)).deliveries)

    await until(is_dead)
    (delivery,) = (await shop.pms.webhooks.ListDeliveries(dead)).deliveries
    schedule = len(QUICK) + 1
    assert (delivery.aggregate_id, delivery.attempt_count) == (f"{sku}@main", schedule)
    assert [attempt.number for attempt in delivery.attempts] == [schedule]

    named = {"endpoint_id": endpoint_id, "event_id": delivery.event_id}
    again = await shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(**named))
    assert (again.state, again.attempt_count) == (pb.Delivery.STATE_PENDING, schedule)
    await until(is_dead)
    assert [each.number for each in (await state_of(shop, **named)).attempts] == list(range(1, 2 * schedule + 1))

    async def take(_: object) -> None: ...

    told.behaviour = take
    await shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(**named))
    await until(becomes(shop, **named, state=DeliveryState.DELIVERED))
    assert {hook.event_id for hook in told.hooks} == {delivery.event_id}
    assert (await state_of(shop, **named)).attempts[-1].error == ""


async def test_what_waits_is_sent_now_in_its_order(shop: Shop, told: Receiver) -> None:
    """Retrying the last one of an aggregate sends those before it first."""
    sku = await sold(shop, 3)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    *_, last = await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(endpoint_id=endpoint_id, event_id=last))
    assert await taken(told, 3) == [(f"{sku}@main", version) for version in (1, 2, 3)]


async def test_skipping_frees_those_behind(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 3)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    first, *_ = await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    request = pb.SkipDeliveryRequest(endpoint_id=endpoint_id, event_id=first)
    skipped = await shop.pms.webhooks.SkipDelivery(request)
    assert skipped.state == pb.Delivery.STATE_SKIPPED
    assert skipped.HasField("finish_time")
    assert await taken(told, 2) == [(f"{sku}@main", 2), (f"{sku}@main", 3)]
    assert (await shop.pms.webhooks.SkipDelivery(request)).finish_time == skipped.finish_time


async def test_enabling_goes_on_with_what_was_pending(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["stock.changed"])
    disabled = await shop.pms.webhooks.DisableEndpoint(
        pb.DisableEndpointRequest(endpoint_id=endpoint_id, reason="moving house")
    )
    assert (disabled.state, disabled.disable_reason) == (pb.Endpoint.STATE_DISABLED, "moving house")
    await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await shop.pool.execute("UPDATE endpoints SET failing_since = now(), warn_time = now() WHERE url = $1", told.url)
    missed = await sold(shop)
    enabled = await shop.pms.webhooks.EnableEndpoint(pb.EnableEndpointRequest(endpoint_id=endpoint_id))
    assert (enabled.state, enabled.disable_reason) == (pb.Endpoint.STATE_ENABLED, "")
    assert not enabled.HasField("failing_since")
    assert await taken(told, 2) == [(f"{sku}@main", 1), (f"{sku}@main", 2)]
    assert missed not in str(told.hooks)
    assert await shop.pool.fetchval("SELECT failing_since IS NULL FROM endpoints WHERE url = $1", told.url)


async def test_recovering_takes_all_dead_ones_piece_by_piece(shop: Shop, told: Receiver) -> None:
    sku, later = await sold(shop, 5), await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"], f"{sku}%")
    await deliver(shop.pool, endpoint_id, DeliveryState.DELIVERED, ["stock.changed"], f"{later}%")
    request = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=Timestamp(), limit=2)
    counts = []
    while True:
        answer = await shop.pms.webhooks.RecoverDeliveries(request)
        counts.append(answer.recovered)
        request.cursor = answer.next_cursor
        if not answer.next_cursor:
            break
    assert counts == [2, 2, 1]
    assert await taken(told, 5) == [(f"{sku}@main", version) for version in range(1, 6)]
    future = Timestamp()
    future.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    nothing = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=future)
    assert (await shop.pms.webhooks.RecoverDeliveries(nothing)).recovered == 0


async def test_what_is_no_longer_in_the_record_stays_dead(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 2)
    endpoint_id = await listening(shop, told, types=["endpoint.disabled"])
    gone, kept = await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"], f"{sku}%")
    await shop.pool.execute("DELETE FROM events WHERE event_id = $1", gone)
    refusal = await refused(
        shop.pms.webhooks.RetryDelivery(pb.RetryDeliveryRequest(endpoint_id=endpoint_id, event_id=gone))
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_EXPIRED")
    assert refusal.metadata == {"endpoint_id": endpoint_id, "event_id": gone}

    request = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=Timestamp())
    assert (await shop.pms.webhooks.RecoverDeliveries(request)).recovered == 1
    await until(becomes(shop, endpoint_id, kept, DeliveryState.DELIVERED))
    assert [hook.event_id for hook in told.hooks] == [kept]
    assert (await state_of(shop, endpoint_id, gone)).state == pb.Delivery.STATE_DEAD


async def test_replaying_a_part_of_time_takes_its_beginning_and_not_its_end(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 4)
    endpoint_id = await listening(shop, told, types=["stock.*"])
    rows = await shop.pool.fetch(
        "SELECT create_time FROM events WHERE type = 'stock.changed' AND aggregate_id = $1 ORDER BY seq", f"{sku}@main"
    )
    _, second, third, _ = (row["create_time"] for row in rows)
    request = pb.ReplayEventsRequest(endpoint_id=endpoint_id, aggregate_id=f"{sku}@main")
    request.start_time.FromDatetime(second)
    request.end_time.FromDatetime(third)
    assert (await shop.pms.webhooks.ReplayEvents(request)).replayed == 1
    assert await taken(told, 1) == [(f"{sku}@main", 2)]


async def test_pings_are_not_replayed(shop: Shop, told: Receiver) -> None:
    endpoint_id = await listening(shop, told, types=["*"])
    pinged = await shop.pms.webhooks.PingEndpoint(pb.PingEndpointRequest(endpoint_id=endpoint_id))
    await until(becomes(shop, endpoint_id, pinged.event_id, DeliveryState.DELIVERED))
    request = pb.ReplayEventsRequest(endpoint_id=endpoint_id, aggregate_id=endpoint_id, types=["*"])
    assert (await shop.pms.webhooks.ReplayEvents(request)).replayed == 0


async def test_of_many_at_once_no_more_are_made_than_there_may_be(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = await shop.pool.fetchval("SELECT count(*) FROM endpoints") + 1
    monkeypatch.setattr("stockward_server.storage.webhooks.endpoints.MAX_ENDPOINTS", limit)
    requests = [create_endpoint(types=["endpoint.disabled"]) for _ in range(10)]
    for each in requests:
        each.request_id = str(uuid.uuid4())
    answers = await asyncio.gather(*map(shop.pms.webhooks.CreateEndpoint, requests), return_exceptions=True)
    (made,) = (answer for answer in answers if not isinstance(answer, BaseException))
    refusals = [Refused(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    told = {(each.code, each.reason) for each in refusals}
    assert told == {(grpc.StatusCode.FAILED_PRECONDITION, "ENDPOINT_LIMIT_REACHED")}
    assert refusals[0].metadata == {"limit": str(limit)}
    written = await shop.pool.fetchrow(
        "SELECT (SELECT count(*) FROM endpoints), (SELECT count(DISTINCT endpoint_id) FROM endpoint_secrets), "
        "(SELECT count(*) FROM idempotency WHERE request_id = ANY($1))",
        [each.request_id for each in requests],
    )
    assert written
    assert tuple(written.values()) == (limit, limit, 1)
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=made.endpoint.endpoint_id))


async def test_replaying_tells_what_happened_before_and_tells_it_again(shop: Shop, told: Receiver) -> None:
    sku = await sold(shop, 4)
    endpoint_id = await listening(shop, told, types=["product.*"])
    request = pb.ReplayEventsRequest(
        endpoint_id=endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}@main", limit=3
    )
    first = await shop.pms.webhooks.ReplayEvents(request)
    assert first.replayed == 3
    request.cursor = first.next_cursor
    assert (await shop.pms.webhooks.ReplayEvents(request)).replayed == 1
    versions = [(f"{sku}@main", version) for version in (1, 2, 3, 4)]
    assert await taken(told, 4) == versions
    await until(lambda: _all_delivered(shop, endpoint_id))

    told.taken.clear()
    again = pb.ReplayEventsRequest(endpoint_id=endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}@main")
    answer = await shop.pms.webhooks.ReplayEvents(again)
    assert (answer.replayed, answer.next_cursor) == (4, "")
    assert await taken(told, 4) == versions

    told.taken.clear()
    since = pb.ReplayEventsRequest(endpoint_id=endpoint_id, start_time=Timestamp(), aggregate_id=f"{sku}@main")
    assert (await shop.pms.webhooks.ReplayEvents(since)).replayed == 0, "the endpoint's own types count"


async def _all_delivered(shop: Shop, endpoint_id: str) -> bool:
    return bool(
        await shop.pool.fetchval("SELECT bool_and(state = 2) FROM deliveries WHERE endpoint_id = $1", endpoint_id)
    )


async def test_the_cleaner_takes_whatever_is_done_with(shop: Shop) -> None:
    sku = await sold(shop, 4)
    endpoint_id = await endpoint_of(shop, types=["endpoint.disabled"])
    await deliver(shop.pool, endpoint_id, types=["stock.changed"], aggregate_id=f"{sku}%")
    await shop.pool.execute("UPDATE deliveries SET state = 4 WHERE endpoint_id = $1", endpoint_id)
    await deliver(shop.pool, endpoint_id, types=["product.created"])
    pending = await shop.pool.fetchval(
        "SELECT count(*) FROM deliveries WHERE endpoint_id = $1 AND state = 1", endpoint_id
    )
    assert await delete_finished_deliveries(shop.pool, -1) >= 4
    rows = await shop.pool.fetch("SELECT state FROM deliveries WHERE endpoint_id = $1", endpoint_id)
    assert [row["state"] for row in rows] == [1] * pending
    await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=endpoint_id))


async def test_deliveries_are_listed_newest_first_and_narrowed(shop: Shop) -> None:
    sku = await sold(shop, 3)
    ids = [await endpoint_of(shop, types=["endpoint.disabled"]) for _ in range(2)]
    for endpoint_id in ids:
        await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"], f"{sku}%")
    await deliver(shop.pool, ids[0], types=["product.created"])

    async def found(**wanted: object) -> list[tuple[str, str]]:
        """Event and endpoint, two rows a page."""
        request = pb.ListDeliveriesRequest(page_size=2, **wanted)  # type: ignore[arg-type]
        rows = []
        while True:
            answer = await shop.pms.webhooks.ListDeliveries(request)
            rows += [(each.event_id, each.endpoint_id) for each in answer.deliveries]
            request.page_token = answer.next_page_token
            if not answer.next_page_token:
                return rows

    expected = await shop.pool.fetch(
        "SELECT event_id::text, endpoint_id FROM deliveries WHERE aggregate_id = $1 "
        "ORDER BY event_id DESC, endpoint_id",
        f"{sku}@main",
    )
    assert len(expected) == 6
    assert await found(aggregate_id=f"{sku}@main") == [tuple(row.values()) for row in expected]
    own = [tuple(row.values()) for row in expected if row["endpoint_id"] == ids[0]]
    assert await found(endpoint_id=ids[0], states=[pb.Delivery.STATE_DEAD]) == own
    assert await found(endpoint_id=ids[0], types=["stock.*"]) == own
    assert await found(endpoint_id=ids[1], states=[pb.Delivery.STATE_PENDING]) == []
    seconds = await shop.pool.fetch(
        "SELECT event_time FROM deliveries WHERE endpoint_id = $1 AND type = 'stock.changed' ORDER BY seq", ids[0]
    )
    start = Timestamp()
    start.FromDatetime(seconds[1]["event_time"])
    assert await found(endpoint_id=ids[0], states=[pb.Delivery.STATE_DEAD], start_time=start) == own[:2]
    assert await found(endpoint_id=ids[0], types=["stock.changed"], end_time=start) == own[2:]
    for endpoint_id in ids:
        await shop.pms.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(endpoint_id=endpoint_id))
