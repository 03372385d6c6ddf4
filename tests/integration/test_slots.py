"""Calls and connections that bring nothing hold no place for long, and none that others need."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.api import server
from stockward_server.api.calls import arrivals, interceptor
from stockward_server.config import Settings
from tests.attack.bodies import framed
from tests.events import until
from tests.http2 import Http2
from tests.shop import KEYS, Shop, open_channel, refused, running_shop

CHECK = "/grpc.health.v1.Health/Check"
GET = "/stockward.inventory.v1.InventoryService/GetAvailability"
IMPORT = "/stockward.catalog.v1.CatalogService/ImportProducts"
WATCH = "/stockward.inventory.v1.InventoryService/WatchStock"
WEBHOOK = "/stockward.webhook.v1.IncomingWebhookService/ReceivePmsWebhook"

OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT, UNAUTHENTICATED = (
    status.value[0]
    for status in (
        grpc.StatusCode.OK,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
    )
)

EMPTY = bytes(5)
"""A message without a field, as gRPC frames it."""


@pytest.fixture
async def silent(shop: Shop) -> AsyncIterator[Http2]:
    """A connection for calls that say nothing."""
    async with Http2.connected(shop.address) as connection:
        yield connection


@pytest.mark.parametrize("method", [GET, IMPORT, WATCH, WEBHOOK, CHECK])
async def test_a_call_without_its_first_message_is_ended(
    silent: Http2, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MESSAGE_SECONDS", 0.2)
    assert await silent.status(silent.begin(method, KEYS["admin"])) == DEADLINE_EXCEEDED


@pytest.mark.parametrize("method", [GET, WATCH, WEBHOOK, CHECK])
async def test_a_call_that_ends_without_a_message_is_refused(silent: Http2, method: str) -> None:
    stream = silent.begin(method, KEYS["admin"])
    silent.http.end_stream(stream)
    assert await silent.status(stream) == INVALID_ARGUMENT


@pytest.mark.parametrize("method", [GET, IMPORT, WATCH])
async def test_a_call_without_a_key_is_refused_by_its_headers(silent: Http2, method: str) -> None:
    """Before its message is there, or parsed."""
    assert await silent.status(silent.begin(method)) == UNAUTHENTICATED
    assert await silent.status(silent.begin(method, "made-up")) == UNAUTHENTICATED


async def test_silent_calls_without_a_key_make_room_for_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "MAX_STRANGERS", 3)
    async with running_shop(settings) as shop, Http2.connected(shop.address) as silent:
        first, *_ = [silent.begin(WEBHOOK) for _ in range(4)]
        assert await silent.status(first) == RESOURCE_EXHAUSTED
        webhook = silent.begin(WEBHOOK)
        silent.http.send_data(webhook, EMPTY, end_stream=True)
        assert await silent.status(webhook) == UNAUTHENTICATED, "it was read: the signature is missing"


async def test_health_is_answered_where_there_is_no_room_for_its_question(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "MAX_STRANGERS", 3)
    async with running_shop(settings) as shop, Http2.connected(shop.address) as silent:
        first, *_ = [silent.begin(CHECK) for _ in range(4)]
        assert await silent.status(first) == OK
        async with open_channel(shop.address) as channel:
            check: Any = channel.unary_unary(CHECK, response_deserializer=health_pb2.HealthCheckResponse.FromString)
            answer = await check(
                health_pb2.HealthCheckRequest(service="stockward.order.v1.OrderService").SerializeToString()
            )
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_silent_calls_of_a_caller_make_room_for_those_of_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many keys they come from; without a time limit that would help."""
    monkeypatch.setattr(arrivals, "MESSAGE_SECONDS", 600.0)
    there = 0

    def take(slots: arrivals.Slots, original: Any = arrivals.Slots.take) -> None:
        nonlocal there
        there += 1
        original(slots)

    monkeypatch.setattr(arrivals.Slots, "take", take)
    few = settings.model_copy(update={"max_concurrent_rpcs": 4, "max_watches": 0})
    async with running_shop(few) as shop, Http2.connected(shop.address) as silent:
        calls = [silent.begin(GET, KEYS[role]) for role in ("pms", "storefront", "storefront", "pms")]
        put_out = asyncio.create_task(silent.status(*calls))  # their keys are looked up in any order
        await until(lambda: there == 4)
        while not put_out.done():
            await shop.admin.inventory.ListLocations(inventory.ListLocationsRequest())
        assert put_out.result() == RESOURCE_EXHAUSTED
        for _ in range(10):  # each slot is there again
            await shop.admin.inventory.ListLocations(inventory.ListLocationsRequest())


async def test_a_connection_without_a_call_is_closed(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"max_connection_idle_seconds": 0.2})) as shop:
        reader, writer = await asyncio.open_connection(*shop.address.split(":"))
        silent = Http2(reader, writer)
        call = silent.begin(CHECK)
        silent.http.send_data(call, EMPTY, end_stream=True)
        assert await silent.status(call) == OK
        await asyncio.wait_for(reader.read(), 30)
        writer.close()
        await shop.admin.inventory.ListLocations(inventory.ListLocationsRequest())


async def test_a_connection_that_does_not_begin_is_closed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.2)
    async with running_shop(settings) as shop:
        reader, writer = await asyncio.open_connection(*shop.address.split(":"))
        await asyncio.wait_for(reader.read(), 30)
        writer.close()


async def test_every_slot_comes_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a call ends: answered, refused, broken off, or with its connection."""
    taken = 0

    def counted(change: int, original: Any) -> Any:
        def count(*arguments: Any) -> None:
            nonlocal taken
            original(*arguments)
            taken += change

        return count

    monkeypatch.setattr(arrivals.Slots, "take", counted(1, arrivals.Slots.take))
    monkeypatch.setattr(arrivals.Slots, "leave", counted(-1, arrivals.Slots.leave))
    await shop.admin.inventory.ListLocations(inventory.ListLocationsRequest())
    assert (await refused(shop.pms.inventory.GetAvailability(inventory.GetAvailabilityRequest()))).reason
    watch = shop.pms.inventory.WatchStock(inventory.WatchStockRequest())
    await watch.read()
    watch.cancel()
    async with Http2.connected(shop.address) as silent:
        for method in (GET, IMPORT, WATCH):
            silent.http.reset_stream(silent.begin(method, KEYS["pms"]))
            stream = silent.begin(method, KEYS["pms"])
            silent.http.send_data(stream, EMPTY)
        await silent.flush()
        await until(lambda: taken > 0)
    await until(lambda: taken == 0)


async def test_a_refused_message_is_not_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the garbage collector comes by, which it does by the number of objects and not by their size."""
    forgetting, over = interceptor._forgetting, 0

    def counted(abort: grpc.aio.AbortError) -> Callable[[object], object]:
        def forget(call: object) -> None:
            nonlocal over
            forgetting(abort)(call)
            over += 1

        return forget

    monkeypatch.setattr(interceptor, "_forgetting", counted)
    large = framed(0x7A, bytes(4 * 1024 * 1024 - 100))
    create: Any = shop.storefront.channel.unary_unary("/stockward.order.v1.OrderService/BatchCreateOrders")
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError):
                await create(large)
        await until(lambda: over == 3)  # the caller has its answer before
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kept = [one for each in gc.garbage for one in gc.get_referents(each) if isinstance(one, bytes)]
        assert not [len(one) for one in kept if one is not large and len(one) > len(large) / 2]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
