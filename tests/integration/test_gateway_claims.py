"""What a claim of the gateway brings: the first events of every lane, and no more bytes than there is room for. And who
may give a lane back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from stockward_server.storage.database import Pool
from stockward_server.storage.webhooks import Lane, Release, SqlWebhooks
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


async def test_each_endpoint_has_its_own_room(database: Pool) -> None:
    size = await pending(database, ["a", "b"], lanes=3, versions=2)
    lanes = await SqlWebhooks(database).claim({"a": 10, "b": 10}, LEASE, {"a": 2 * size, "b": 100 * size}, 100 * size)
    assert contents(lanes) == {"a": [1, 1, 0], "b": [2, 2, 2]}


async def test_there_is_room_for_one_event_whatever_its_size(database: Pool) -> None:
    await pending(database, ["a"], lanes=3, versions=2)
    assert contents(await SqlWebhooks(database).claim({"a": 10}, LEASE, {"a": 1}, 1)) == {"a": [1, 0, 0]}


@pytest.mark.parametrize("is_done", [False, True], ids=["more to send", "all sent"])
async def test_a_lane_is_not_given_back_once_another_gateway_has_it(database: Pool, is_done: bool) -> None:
    size = await pending(database, ["a"], lanes=1, versions=2)
    store = SqlWebhooks(database)

    async def claim() -> Sequence[Lane]:
        return await store.claim({"a": 1}, LEASE, {"a": 10 * size}, 10 * size)

    (late,) = await claim()
    await database.execute("UPDATE lanes SET due_time = now()")  # its lease is over
    (lane,) = await claim()
    if is_done:
        await database.execute("UPDATE deliveries SET state = 2")
    await store.record([], [Release(late, timedelta(0))])
    assert await database.fetchval("SELECT due_time FROM lanes") == lane.lease_end

    await store.record([], [Release(lane, timedelta(0))])
    assert len(await claim()) == (0 if is_done else 1)
    assert await database.fetchval("SELECT count(*) FROM lanes") == (0 if is_done else 1)
