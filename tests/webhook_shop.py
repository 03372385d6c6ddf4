"""A shop with a relay, a gateway and real receivers, as the tests of WebhookService use it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Awaitable, Callable

from stockward.webhook.v1 import webhook_pb2 as pb

from tests.endpoints import create_endpoint
from tests.events import until
from tests.receiver import Receiver
from tests.shop import Shop

numbers = itertools.count(1)


async def listening(shop: Shop, told: Receiver, **fields: object) -> str:
    """An endpoint for the receiver, which is given the secret; its id."""
    answer = await shop.pms.webhooks.CreateEndpoint(create_endpoint(told.url, **fields))
    told.secret = answer.secret
    return str(answer.endpoint.endpoint_id)


async def sold(shop: Shop, units: int = 1) -> str:
    """A new SKU with so many units, received one by one: as many stock.changed of one aggregate; all is published."""
    sku = f"S{next(numbers)}-{uuid.uuid4().hex[:6]}"
    await shop.sell(sku)
    for _ in range(units):
        await shop.receive(sku, 1)
    await until(lambda: shop.pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))
    return sku


async def state_of(shop: Shop, endpoint_id: str, event_id: str) -> pb.Delivery:
    delivery: pb.Delivery = await shop.pms.webhooks.GetDelivery(
        pb.GetDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id)
    )
    return delivery


def becomes(shop: Shop, endpoint_id: str, event_id: str, state: int) -> Callable[[], Awaitable[bool]]:
    async def has_become() -> bool:
        row = await shop.pool.fetchval(
            "SELECT state FROM deliveries WHERE endpoint_id = $1 AND event_id = $2", endpoint_id, event_id
        )
        return bool(row == state)

    return has_become


async def taken(told: Receiver, count: int) -> list[tuple[str, int]]:
    """The stock and its versions as they were taken, once there are so many of them."""

    async def are_there() -> bool:
        return len(told.taken) >= count

    await until(are_there)
    return [(hook.aggregate_id, hook.version) for hook in told.taken]
