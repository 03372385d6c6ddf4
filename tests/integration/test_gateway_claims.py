"""What a claim of the gateway brings, the first events of every lane and no more bytes than there is room for; and who
has a lane that is claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.ports.webhooks import Batch, DeliveryFilter
from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage.database import Pool
from stockward_server.storage.events.lost_events import PublishedEvent
from stockward_server.storage.webhooks.claims import Attempt, Lane, Release, SqlWebhooks
from stockward_server.storage.webhooks.deliveries import SqlDeliveries
from stockward_server.storage.webhooks.endpoints import SqlEndpoints
from stockward_server.storage.webhooks.feed import Position, WebhookFeed
from stockward_server.storage.webhooks.replay import SqlReplay
from stockward_server.storage.write.mutation import Mutations
from tests.commands import RESULT, request
from tests.endpoints import deliver
from tests.events import event, record

KILOBYTE = 1000
LEASE = timedelta(minutes=1)


async def pending(pool: Pool, endpoint_ids: Sequence[str], lanes: int, versions: int) -> int:
    """Deliveries to these endpoints that are due: each of some kilobytes; the bytes of one."""
    payload = [event(f"o{lane}", version) for version in range(1, versions + 1) for lane in range(lanes)]
    for each in payload:
        each.actor = "x" * 5 * KILOBYTE
    await record(pool, *payload)
    for endpoint_id in endpoint_ids:
        await pool.execute(
            "INSERT INTO endpoints (endpoint_id, url, description, types, max_in_flight, enabled, managed, "
            "create_time, update_time) VALUES ($1, 'http://127.0.0.1:1/', '', '{*}', 32, true, false, now(), now())",
            endpoint_id,
        )
        await deliver(pool, endpoint_id)
    await pool.execute("UPDATE lanes SET due_time = now()")
    return len(payload[0].SerializeToString())


def contents(lanes: Sequence[Lane]) -> dict[str, list[int]]:
    """How many events each lane of each endpoint has, most first."""
    found: dict[str, list[int]] = {}
    for lane in lanes:
        found.setdefault(lane.endpoint_id, []).append(len(lane.deliveries))
    return {endpoint_id: sorted(counts, reverse=True) for endpoint_id, counts in found.items()}


async def test_a_claim_has_room_for_so_many_bytes(database: Pool) -> None:
    size = await pending(database, ["a"], lanes=4, versions=3)
    store = SqlWebhooks(database)
    lanes = await store.claim({"a": 10}, LEASE, {"a": 100 * size}, 6 * size)
    assert contents(lanes) == {"a": [2, 2, 1, 1]}, "the first of every lane before the second of any"
    assert sum(lane.size for lane in lanes) == 6 * size
    assert [[each.attempts for each in lane.deliveries] for lane in lanes if len(lane.deliveries) == 2] == [[0, 0]] * 2


async def test_nothing_is_claimed_for_endpoints_that_have_gone_meanwhile(database: Pool) -> None:
    """A gateway knows them as they were some seconds ago."""
    size = await pending(database, ["a", "b", "c"], lanes=2, versions=1)
    await database.execute("UPDATE endpoints SET enabled = false WHERE endpoint_id = 'a'")
    await database.execute("DELETE FROM endpoints WHERE endpoint_id = 'b'")
    places, room = dict.fromkeys("abc", 10), dict.fromkeys("abc", 10 * size)
    assert contents(await SqlWebhooks(database).claim(places, LEASE, room, 100 * size)) == {"c": [1, 1]}
    assert await SqlWebhooks(database).claim({"a": 10, "b": 10}, LEASE, room, 100 * size) == []


async def test_each_endpoint_has_its_own_room(database: Pool) -> None:
    size = await pending(database, ["a", "b"], lanes=3, versions=2)
    lanes = await SqlWebhooks(database).claim({"a": 10, "b": 10}, LEASE, {"a": 2 * size, "b": 100 * size}, 100 * size)
    assert contents(lanes) == {"a": [1, 1, 0], "b": [2, 2, 2]}


async def test_there_is_room_for_one_event_whatever_its_size(database: Pool) -> None:
    await pending(database, ["a"], lanes=3, versions=2)
    assert contents(await SqlWebhooks(database).claim({"a": 10}, LEASE, {"a": 1}, 1)) == {"a": [1, 0, 0]}


async def claim(store: SqlWebhooks) -> Sequence[Lane]:
    """Whatever is due at the endpoint `a`."""
    return await store.claim({"a": 10}, LEASE, {"a": 1_000_000}, 1_000_000)


async def claimed_twice(pool: Pool, versions: int) -> tuple[SqlWebhooks, Lane, Lane]:
    """A lane whose lease was over before its gateway was done with it, and the same as another gateway claims it."""
    await pending(pool, ["a"], lanes=1, versions=versions)
    store = SqlWebhooks(pool)
    (late,) = await claim(store)
    await pool.execute("UPDATE lanes SET due_time = now()")
    (lane,) = await claim(store)
    return store, late, lane


@pytest.mark.parametrize("is_done", [False, True], ids=["more to send", "all sent"])
async def test_a_lane_is_not_given_back_once_another_gateway_has_it(database: Pool, is_done: bool) -> None:
    store, late, lane = await claimed_twice(database, versions=2)
    if is_done:
        await database.execute("UPDATE deliveries SET state = 2")
    await store.record([], [Release(late, timedelta(0))])
    assert await database.fetchval("SELECT due_time FROM lanes") == lane.lease_end

    await store.record([], [Release(lane, timedelta(0))])
    assert len(await claim(store)) == (0 if is_done else 1)
    assert await database.fetchval("SELECT count(*) FROM lanes") == (0 if is_done else 1)


async def test_what_was_delivered_stays_so_whatever_comes_of_an_earlier_request(database: Pool) -> None:
    store, _, lane = await claimed_twice(database, versions=1)
    (delivery,) = lane.deliveries
    for state, number in ((DeliveryState.DELIVERED, 2), (DeliveryState.PENDING, 1), (DeliveryState.DEAD, 1)):
        attempt = Attempt("a", delivery.event_id, number, state, datetime.now(UTC), 1, None, "", "")
        await store.record([attempt], [])
        rows = await database.fetch("SELECT state, attempts FROM deliveries")
        assert [tuple(row) for row in rows] == [(DeliveryState.DELIVERED, 2)]


async def test_a_claimed_lane_stays_so_whatever_comes_to_it(database: Pool, database_url: str) -> None:
    """Its time is the end of the lease: brought forward, two gateways would send the same lane at once."""
    await pending(database, ["a"], lanes=1, versions=6)
    await database.execute("DELETE FROM outbox")  # what is still to be published is not replayed
    await database.execute("DELETE FROM deliveries WHERE seq = (SELECT max(seq) FROM deliveries)")
    (lane,) = await claim(SqlWebhooks(database))
    first, second, third, *_ = (delivery.event_id for delivery in lane.deliveries)
    await database.execute("UPDATE deliveries SET state = 3 WHERE event_id = ANY($1::uuid[])", [second, third])
    mutations = Mutations(database, encode_event)
    deliveries, replay = SqlDeliveries(database, mutations), SqlReplay(mutations)
    endpoints = SqlEndpoints(database, mutations)

    async def fan_out() -> None:
        made = event(lane.aggregate_id, 7)
        await record(database, made)
        await database.execute("DELETE FROM outbox")
        row = await database.fetchrow("SELECT seq, create_time FROM events WHERE event_id = $1", made.event_id)
        assert row
        published = PublishedEvent(made.event_id, made.type, made.aggregate_id, 7, *row.values())
        async with WebhookFeed.open(database_url, "STOCKWARD", lambda reason: None) as feed:
            assert await feed.fan_out([published], Position(1, made.event_id)) == 0

    for number, coming in enumerate(
        [
            fan_out(),
            deliveries.retry(request(), "a", second, RESULT),
            replay.recover(request(), "a", datetime.min.replace(tzinfo=UTC), Batch(10, 0), RESULT),
            replay.replay(request(), DeliveryFilter("a"), Batch(10, 0), RESULT),
            endpoints.change(request(), "a", "", lambda each, now: replace(each, description="new"), RESULT),
            deliveries.skip(request(), "a", first, RESULT),
        ]
    ):
        await coming
        assert await database.fetchval("SELECT due_time FROM lanes") == lane.lease_end, number
    counts = await database.fetch("SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state")
    assert [tuple(row) for row in counts] == [(1, 6), (4, 1)], "each of them did what it was asked"
