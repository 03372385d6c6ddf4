"""A watch that waits for its next change keeps nothing of the last one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.application.watch_queues import Change
from stockward_server.application.watches import SnapshotItem, WatchUpdate
from tests.events import until
from tests.shop import Shop

SKUS = ["KEPT-A", "KEPT-B"]

WATCHES: dict[str, Callable[[Shop], Any]] = {
    "availability": lambda shop: shop.storefront.inventory.WatchAvailability(
        inventory.WatchAvailabilityRequest(skus=SKUS)
    ),
    "stock": lambda shop: shop.pms.inventory.WatchStock(inventory.WatchStockRequest(skus=SKUS)),
    "orders": lambda shop: shop.pms.orders.WatchOrders(orders.WatchOrdersRequest()),
}


PASSING = (WatchUpdate, SnapshotItem, Change)
"""What a response is made from."""


def alive(*kinds: type[Any]) -> list[Any]:
    """Returns the objects of some types in this process, in which the server runs."""
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


@pytest.mark.long  # each walks all objects of the process, several times
@pytest.mark.parametrize("name", WATCHES)
async def test_what_was_sent_is_freed(shop: Shop, name: str) -> None:
    await shop.sell("KEPT-A", 5)
    await shop.sell("KEPT-B", 5)
    order = orders.CreateOrderRequest(lines=[orders.CreateOrderRequest.Line(sku="KEPT-A", quantity=1)])
    await shop.storefront.orders.CreateOrder(order)
    watch = WATCHES[name](shop)
    responses = aiter(watch)
    while not (await anext(responses)).checkpoint:
        pass
    await until(lambda: not alive(*PASSING))

    await shop.storefront.orders.CreateOrder(order)
    await anext(responses)
    await until(lambda: not alive(*PASSING))
    watch.cancel()


async def test_names_are_in_memory_once(shop: Shop) -> None:
    await shop.sell("KEPT-A", 5)
    watches = [WATCHES["availability"](shop) for _ in range(3)]
    for watch in watches:
        await anext(aiter(watch))
    named = [sku for each in alive(frozenset) for sku in each if sku == "KEPT-A"]
    assert len(named) >= len(watches)
    assert {id(sku) for sku in named} == {id(sys.intern("KEPT-A"))}
    for watch in watches:
        watch.cancel()
