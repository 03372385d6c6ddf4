"""No stream outlives the credential that opened it: whatever ends that, in every process, within five seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from stockward.auth.v1 import auth_pb2
from stockward.auth.v1 import key_pb2 as pb
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1.order_pb2 import WatchOrdersRequest

from stockward_server.config import Settings
from tests.issuer import AUDIENCE, ISSUER, Issuer
from tests.shop import Callers, Refused, Shop, callers, running_shop

pytestmark = pytest.mark.long

MAX_SECONDS = 60.0
"""Five are promised; the rest is for a machine that is busy. Without the promise a watch has no end."""

End = Callable[[Shop, str], Awaitable[object]]


async def revoked(shop: Shop, key_id: str) -> None:
    await shop.admin.keys.RevokeKey(pb.RevokeKeyRequest(key_id=key_id))


async def rotated_out(shop: Shop, key_id: str) -> None:
    await shop.admin.keys.RotateKey(pb.RotateKeyRequest(key_id=key_id, overlap=Duration()))


async def expired(shop: Shop, key_id: str) -> None:
    await shop.pool.execute("UPDATE api_keys SET expire_time = now() WHERE key_id = $1", key_id)


async def given_another_role(shop: Shop, key_id: str) -> None:
    await shop.pool.execute("UPDATE api_keys SET role = 1 WHERE key_id = $1", key_id)


async def forever(first: Any) -> AsyncIterator[Any]:
    """An upload that sends one message and then nothing."""
    yield first
    await asyncio.Event().wait()


ROW = inventory.SyncStockRequest(rows=[inventory.SyncStockRequest.Row(sku="TEE", delta=1)])

STREAMS: dict[str, Callable[[Callers], Any]] = {
    "WatchStock": lambda staff: staff.inventory.WatchStock(inventory.WatchStockRequest()),
    "WatchOrders": lambda staff: staff.orders.WatchOrders(WatchOrdersRequest()),
    "SyncStock": lambda staff: staff.inventory.SyncStock(forever(ROW)),
}


@pytest.fixture
async def other(settings: Settings, shop: Shop) -> AsyncIterator[Shop]:
    """Another server of the same shop."""
    async with running_shop(settings) as other:
        yield other


async def end_of(stream: Any) -> grpc.aio.AioRpcError:
    """What it ends with, whatever comes before."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async for _ in stream:
            pass
    return error.value


@pytest.mark.parametrize("end", [revoked, rotated_out, expired, given_another_role], ids=lambda end: end.__name__)
async def test_streams_end_with_their_key(shop: Shop, other: Shop, end: End) -> None:
    await shop.sell("TEE")
    made = await shop.admin.keys.CreateKey(pb.CreateKeyRequest(name="desk", role=auth_pb2.ROLE_PMS))
    desks = [callers(each.address, made.secret) for each in (shop, other)]
    streams = [opened(desk) for desk in desks for opened in STREAMS.values()]
    await asyncio.gather(*(anext(aiter(stream)) for stream in streams))
    kept = STREAMS["WatchStock"](shop.pms)
    await anext(aiter(kept))

    await end(shop, made.key.key_id)
    async with asyncio.timeout(MAX_SECONDS):
        errors = await asyncio.gather(*map(end_of, streams))
    expected = "ROLE_NOT_ALLOWED" if end is given_another_role else "CREDENTIALS_INVALID"
    reasons = [Refused(error).reason for error in errors]
    assert set(reasons) <= {expected, "CREDENTIALS_INVALID"}, reasons  # a storefront may watch stock, but not as staff
    await shop.receive("TEE", 1)
    await anext(aiter(kept))
    kept.cancel()
    for desk in desks:
        await desk.channel.close()


async def test_an_upload_that_goes_on_ends_with_its_key(shop: Shop) -> None:
    await shop.sell("TEE", 0)
    made = await shop.admin.keys.CreateKey(pb.CreateKeyRequest(name="desk", role=auth_pb2.ROLE_PMS))
    desk = callers(shop.address, made.secret)
    sent = 0

    async def products() -> AsyncIterator[catalog.ImportProductsRequest]:
        nonlocal sent
        while True:
            sent += 1
            yield catalog.ImportProductsRequest(product=catalog.Product(title=f"P{sent}", handle=f"p-{sent}"))
            if sent == 3:
                await revoked(shop, made.key.key_id)
            await asyncio.sleep(0.05)

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await desk.catalog.ImportProducts(products())
    assert Refused(error.value).reason == "CREDENTIALS_INVALID"
    await desk.channel.close()


@pytest.mark.long
async def test_streams_end_with_their_token(settings: Settings) -> None:
    issuer = Issuer()
    issuer.add("a", "EdDSA")
    async with issuer.serving():
        update = {"jwks_url": issuer.url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_leeway_seconds": 0.0}
        async with running_shop(settings.model_copy(update=update)) as shop:
            await shop.sell("TEE")
            staff = callers(shop.address, issuer.token("a", exp=int(time.time()) + 10))
            streams = [opened(staff) for opened in STREAMS.values()]
            begun = await asyncio.gather(*(anext(aiter(stream)) for stream in streams))
            assert len(begun) == len(streams)
            async with asyncio.timeout(MAX_SECONDS):
                errors = await asyncio.gather(*map(end_of, streams))
            assert {Refused(error).metadata["cause"] for error in errors} == {"TOKEN_EXPIRED"}
            await staff.channel.close()
