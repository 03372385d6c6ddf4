"""Watches of many SKUs hold nobody up: they are filled, read and closed in turns with other work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.api.inventory.servicer import InventoryServicer
from stockward_server.application import watches
from stockward_server.application.context import Caller, Role
from stockward_server.application.follower import Encoder, Follower
from stockward_server.application.ports.events import Cursor, EventBatch
from stockward_server.application.ports.stock import AvailabilityRow
from stockward_server.application.watch_queues import AvailabilityQueue
from stockward_server.application.watches import Watches, WatchLimits
from stockward_server.auth.identity import Call, current_call
from stockward_server.runtime import turns
from tests.turns import turns_during

SKUS = [f"SKU-{number}" for number in range(150)]

UNUSED: Any = None


class NoEvents:
    """A record in which nothing happens."""

    async def end(self) -> tuple[Cursor, int]:
        return Cursor(0, "epoch"), 0

    async def follow(self, after: int, limit: int) -> EventBatch:
        return EventBatch([], after, "epoch")


async def availability(skus: Sequence[str]) -> Mapping[str, AvailabilityRow]:
    return {sku: AvailabilityRow(sku, 1, datetime.now(UTC), True, False) for sku in skus}


@pytest.fixture
async def follower() -> AsyncIterator[Follower]:
    events: Any = NoEvents()
    encoder = Encoder({}, lambda row: row.sku, lambda _: ())
    follower = Follower(events, availability, encoder, poll_seconds=60, refresh_seconds=60)
    yield follower
    await follower.close()


@pytest.fixture(autouse=True)
def in_smallest_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where each step takes long."""
    monkeypatch.setattr(turns, "SLICE", 0.0)


async def begun(follower: Follower) -> AvailabilityQueue:
    """A watch that was sent what there is."""
    queue = AvailabilityQueue(SKUS)
    await follower.join(queue)
    follower.begin(queue, SKUS)
    async with asyncio.timeout(30):
        while not queue.begun:
            await queue.wait(1)
    return queue


async def test_the_present_state_is_told_in_turns(follower: Follower) -> None:
    assert await turns_during(begun(follower)) >= len(SKUS)


async def test_those_who_leave_are_taken_out_in_turns(follower: Follower) -> None:
    """A thousand may leave at once."""
    queues = [await begun(follower) for _ in range(20)]

    async def all_gone() -> None:
        for queue in queues:
            follower.leave(queue)
            follower.leave(queue)
        assert not follower.watching
        while follower._shoppers:
            await asyncio.sleep(0)

    async with asyncio.timeout(30):
        assert await turns_during(all_gone()) >= len(queues)
    assert not follower._available


async def test_a_long_update_waits_for_its_turn(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    begins: list[int] = []

    class Noted(turns.Turns):
        async def begin(self) -> None:
            begins.append(1)

    monkeypatch.setattr(watches, "Turns", Noted)
    limits = WatchLimits(10, 10, 60.0)
    for skus, long in ((SKUS, True), (SKUS[:10], False)):
        begins.clear()
        open_watches = Watches(UNUSED, follower, UNUSED, limits)
        updates = open_watches.availability(open_watches.enter(), skus, None)
        assert len((await anext(updates)).messages) == len(skus)
        assert bool(begins) is long
        await updates.aclose()


async def test_availability_of_many_is_answered_in_turns() -> None:
    class Window:
        async def availability(self, skus: Sequence[str], role: Role) -> Mapping[str, AvailabilityRow]:
            return await availability(skus)

    window: Any = Window()
    servicer = InventoryServicer(UNUSED, UNUSED, UNUSED, UNUSED, window, UNUSED, UNUSED, UNUSED, UNUSED)
    current_call.set(Call(Caller("shop", Role.STOREFRONT), "test"))
    request = inventory.BatchGetAvailabilityRequest(skus=SKUS)
    assert await turns_during(servicer.BatchGetAvailability(request, UNUSED)) >= len(SKUS)
