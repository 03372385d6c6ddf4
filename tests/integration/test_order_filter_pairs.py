"""Filters of ListOrders together: any two find what each finds alone, in every order and page by page."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.order.v1 import order_pb2 as pb

from tests.shop import Shop, money

State, Paid = pb.Order, pb.Payment

FILTERS: dict[str, dict[str, Any]] = {
    "open": {"states": [State.STATE_PENDING, State.STATE_PROCESSING, State.STATE_PARTIALLY_FULFILLED]},
    "pending": {"states": [State.STATE_PENDING]},
    "closed": {"states": [State.STATE_FULFILLED, State.STATE_CANCELLED]},
    "paid": {"payment_states": [Paid.STATE_PAID]},
    "unpaid": {"payment_states": [Paid.STATE_PENDING]},
    "held": {"held": True},
    "not held": {"held": False},
    "refund required": {"refund_required": True},
    "SKU": {"sku": "TEE"},
    "SKU with a former name": {"sku": "CUP"},
    "SKU used again": {"sku": "MUG"},
    "SKU of nothing": {"sku": "NOTHING"},
    "location": {"location_id": "main"},
    "tag": {"tags": ["vip"]},
    "amount": {"min_net": money("5.00"), "max_net": money("21.00")},
    "words": {"search": "ada"},
}

SORTS = {"create_time desc": "create_time", "update_time": "update_time", "net desc": "totals.net"}


@pytest.fixture
async def shop(shop: Shop) -> Shop:
    """With two orders of each kind, half of them with CUP under its former name, MUG, which is another SKU now."""
    for sku in ("TEE", "MUG"):
        await shop.sell(sku, 100, price="10.00")
    for former in (True, False):
        sku = "MUG" if former else "CUP"
        wanted = [("TEE", 1), (sku, 1), ("TEE", 2), (sku, 3), ("TEE", 1), (sku, 2)]
        made = [
            await shop.order(name, quantity, customer=pb.Customer(name="Ada" if number % 2 else "Grace"))
            for number, (name, quantity) in enumerate(wanted)
        ]
        for each in made[1:5]:
            await shop.pay(each)
        for each in made[2:4]:
            await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=each.order_id))
        await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=made[3].order_id))
        await shop.pms.orders.CancelOrder(pb.CancelOrderRequest(order_id=made[4].order_id))
        hold = pb.HoldOrderRequest(order_id=made[5].order_id, reason=pb.Hold.REASON_ADDRESS)
        await shop.pms.orders.HoldOrder(hold)
        for each in made[::2]:
            await shop.pms.orders.UpdateOrder(pb.UpdateOrderRequest(order_id=each.order_id, tags=["vip"]))
        if former:
            await shop.pms.catalog.RenameSku(catalog.RenameSkuRequest(sku="MUG", new_sku="CUP"))
            await shop.sell("MUG", 100, price="10.00")
            await shop.order("MUG", 1)
    return shop


async def listed(shop: Shop, page_size: int = 100, **wanted: Any) -> list[str]:
    ids, token = [], ""
    while True:
        request = pb.ListOrdersRequest(page_size=page_size, page_token=token, **wanted)
        answer = await shop.pms.orders.ListOrders(request)
        ids += [order.order_id for order in answer.orders]
        if not (token := answer.next_page_token):
            return ids


def key(order: pb.Order, path: str) -> Any:
    for name in path.split("."):
        order = getattr(order, name)
    value: Any = order
    return value.units * 10**9 + value.nanos if path.endswith("net") else value.ToNanoseconds()


async def test_any_two_find_what_each_finds_alone(shop: Shop) -> None:
    every = {order.order_id: order for order in (await shop.pms.orders.ListOrders(pb.ListOrdersRequest())).orders}
    filters = FILTERS | {"beginning of an id": {"search": min(every)[:8]}}
    alone = {name: set(await listed(shop, **wanted)) for name, wanted in filters.items()}
    assert len(alone["SKU with a former name"]) == 6, "three under each name"
    assert len(alone["SKU used again"]) == 1
    assert {name for name, ids in alone.items() if not ids} == {"SKU of nothing"}
    for one, other in combinations(filters, 2):
        if filters[one].keys() & filters[other].keys():
            continue
        for sort, path in SORTS.items():
            ids = await listed(shop, page_size=3, order_by=sort, **filters[one], **filters[other])
            assert len(ids) == len(set(ids)), (one, other, sort)
            assert set(ids) == alone[one] & alone[other], (one, other, sort)
            keys = [(key(every[each], path), each) for each in ids]
            assert keys == sorted(keys, reverse=sort.endswith("desc")), (one, other, sort)


async def test_an_order_with_several_lines_of_a_sku_is_listed_once(shop: Shop) -> None:
    """A line that was cancelled stays, and its SKU may come back."""
    orders = shop.pms.orders
    lines = [pb.CreateOrderRequest.Line(sku=sku, quantity=1) for sku in ("CUP", "TEE")]
    made = [await shop.storefront.orders.CreateOrder(pb.CreateOrderRequest(lines=lines)) for _ in range(3)]
    for order in made:
        cancelled = pb.LineQuantity(line_number=1, quantity=1)
        await orders.CancelOrder(pb.CancelOrderRequest(order_id=order.order_id, lines=[cancelled]))
        added = pb.CreateOrderRequest.Line(sku="CUP", quantity=2)
        edited = await orders.EditOrderLines(pb.EditOrderLinesRequest(order_id=order.order_id, additions=[added]))
        assert [line.sku for line in edited.lines].count("CUP") == 2
    for order_by in ("create_time desc", "update_time desc"):
        ids = await listed(shop, page_size=3, sku="CUP", order_by=order_by)
        assert len(ids) == len(set(ids)) == 9
        assert ids[:3] == [order.order_id for order in reversed(made)]
