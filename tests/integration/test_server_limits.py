"""How much one process takes at the same time: calls, and connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, RemoteSettingsChanged
from h2.settings import SettingCodes
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.api import health
from stockward_server.api.calls import interceptor
from stockward_server.config import Settings
from tests.commands import locked, waiting_for_locks
from tests.events import until
from tests.http2 import Http2
from tests.shop import Shop, is_answered, open_channel, refused, running_shop

SERVING = b"\x08\x01"
"""An encoded HealthCheckResponse."""


async def is_served(address: str) -> bool:
    """Whether a connection of its own is."""
    async with open_channel(address) as channel:
        return await is_answered(channel, seconds=2)


async def test_calls_beyond_the_limit_are_refused_and_those_under_way_go_on(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"max_concurrent_rpcs": 2, "max_watches": 0})) as shop:
        await shop.sell("TEE")
        ends = asyncio.Event()

        async def pieces() -> AsyncIterator[inventory.SyncStockRequest]:
            piece = inventory.SyncStockRequest(rows=[inventory.SyncStockRequest.Row(sku="TEE", delta=1)])
            yield piece
            await ends.wait()
            yield piece

        uploads = [aiter(shop.pms.inventory.SyncStock(pieces())) for _ in range(2)]
        for upload in uploads:
            await anext(upload)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await shop.admin.inventory.ListLocations(inventory.ListLocationsRequest())
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        ends.set()
        for upload in uploads:
            assert len([each async for each in upload]) == 1
        await until(lambda: is_served(shop.address))


async def test_connections_beyond_the_limit_are_closed(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"max_connections": 2})) as shop:
        await shop.pms.inventory.ListLocations(inventory.ListLocationsRequest())
        await shop.storefront.inventory.BatchGetAvailability(inventory.BatchGetAvailabilityRequest(skus=["TEE"]))
        assert not await is_served(shop.address)
        await shop.pms.inventory.ListLocations(inventory.ListLocationsRequest())
        await shop.storefront.channel.close()

        async def is_free() -> bool:
            return await is_served(shop.address)

        await until(is_free)


async def test_metadata_beyond_the_limit_is_refused_and_the_connection_goes_on(shop: Shop) -> None:
    async def call(kib: int) -> grpc.StatusCode:
        try:
            await shop.pms.inventory.ListLocations(
                inventory.ListLocationsRequest(), metadata=(("padding", "x" * 1024 * kib),)
            )
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    assert await call(15) is grpc.StatusCode.OK
    assert {await call(17) for _ in range(20)} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert await call(40) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await call(0) is grpc.StatusCode.OK


async def test_health_is_watched_by_a_bounded_number(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_WATCHES", 3)
    watch: Any = shop.pms.channel.unary_stream("/grpc.health.v1.Health/Watch")
    watches = [watch(b"") for _ in range(3)]
    for each in watches:
        assert await each.read() == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await watch(b"").read()
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for each in watches:
        each.cancel()


async def test_a_watch_of_health_ends_and_may_be_opened_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_WATCHES", 1)
    monkeypatch.setattr(health, "MAX_WATCH_SECONDS", 1.0)
    watch: Any = shop.pms.channel.unary_stream("/grpc.health.v1.Health/Watch")
    for _ in range(2):
        each = watch(b"")
        assert await each.read() == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await each.read()
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_the_streams_of_a_connection_are_told(settings: Settings) -> None:
    update = {"max_concurrent_rpcs": 70, "max_watches": 30}
    async with running_shop(settings.model_copy(update=update)) as shop, Http2.connected(shop.address) as connection:
        told = (await connection.hear(RemoteSettingsChanged)).changed_settings
        assert told[SettingCodes.MAX_CONCURRENT_STREAMS].new_value == 100


async def test_an_old_connection_is_ended_and_calls_go_on(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"max_connection_age_seconds": 1.0})) as shop:
        async with Http2.connected(shop.address) as connection:
            assert (await connection.hear(ConnectionTerminated)).error_code == ErrorCodes.NO_ERROR
        await shop.pms.inventory.ListLocations(inventory.ListLocationsRequest())


async def test_beyond_what_may_wait_for_a_transaction_orders_are_sent_away(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"committer_queue_limit": 1})) as shop:
        await shop.sell("TEE", 10)
        async with locked(shop.pool, "TEE"):
            first = asyncio.create_task(shop.order("TEE"))
            await until(lambda: waiting_for_locks(shop.pool, 1))
            done, waiting = await asyncio.wait(
                [asyncio.create_task(shop.order("TEE")) for _ in range(2)], return_when=asyncio.FIRST_COMPLETED
            )
            refusal = await refused(done.pop())
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert refusal.retry_after > 0
        await asyncio.gather(first, *waiting)
        assert await shop.counters("TEE") == (10, 0, 2)


async def test_a_call_without_a_deadline_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waits for may never come; one with a deadline ends by that."""
    await shop.sell("TEE", 10)
    monkeypatch.setattr(interceptor, "MAX_SECONDS", 0.3)
    adjustment = inventory.AdjustStockRequest(sku="TEE", delta=1, reason=inventory.ADJUSTMENT_REASON_RECEIVED)
    async with locked(shop.pool, "TEE"):
        refusal = await refused(shop.pms.inventory.AdjustStock(adjustment))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
        assert "send the request again with the same request_id" in refusal.message
        patient = asyncio.ensure_future(shop.pms.inventory.AdjustStock(adjustment, timeout=60))
        await asyncio.wait([patient], timeout=1)
        assert not patient.done()
    await patient
