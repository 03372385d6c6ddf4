"""Lists of orders by what staff look for, and counts of orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.order.v1 import order_pb2 as pb

from stockward_server.api.orders.filters import order_filter
from stockward_server.application.context import Role
from stockward_server.domain.errors import RoleNotAllowed
from stockward_server.storage.write.order_refresh import add_up_counts, refresh_orders
from tests.shop import Shop, money, refused

State, Paid = pb.Order, pb.Payment


async def found(shop: Shop, **fields: Any) -> str:
    """References in the order of the list."""
    answer = await shop.pms.orders.ListOrders(pb.ListOrdersRequest(**fields))
    assert not answer.next_page_token
    return " ".join(order.reference for order in answer.orders)


async def order(shop: Shop, sku: str, quantity: int, reference: str, **contact: Any) -> pb.Order:
    return await shop.order(sku, quantity, reference=reference, customer=pb.Customer(**contact))


@pytest.fixture
async def orders(shop: Shop) -> dict[str, pb.Order]:
    """a: pending; b: paid and processing; c: shipped; d: cancelled, a refund is due; e: on hold."""
    await shop.sell("TEE", 50, price="10.00")
    await shop.sell("MUG", 50, price="2.50")
    made = {
        "a": await order(shop, "TEE", 1, "a", email="ada.lovelace@example.org"),
        "b": await order(shop, "MUG", 3, "b", name="Grace Hopper"),
        "c": await order(shop, "TEE", 2, "c", shipping_address=pb.Address(recipient="Émilie", postal_code="SW1A 1AA")),
        "d": await order(shop, "TEE", 4, "d"),
        "e": await order(shop, "MUG", 1, "e"),
    }
    for name in "bcd":
        await shop.pay(made[name])
    await shop.pay(made["e"], "AUTHORIZED")
    await shop.pay(made["e"], "VOIDED")
    for name in "bc":
        await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=made[name].order_id))
    shipped = pb.FulfillOrderRequest(order_id=made["c"].order_id, tracking_number="JD01-4600", carrier="DHL")
    await shop.pms.orders.FulfillOrder(shipped)
    await shop.pms.orders.CancelOrder(pb.CancelOrderRequest(order_id=made["d"].order_id))
    return {name: await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=made[name].order_id)) for name in made}


async def test_orders_are_found_by_each_filter(shop: Shop, orders: dict[str, pb.Order]) -> None:
    assert await found(shop, payment_states=[Paid.STATE_PAID]) == "d c b"
    assert await found(shop, payment_states=[Paid.STATE_PAID, Paid.STATE_PENDING]) == "d c b a"
    assert await found(shop, payment_states=[Paid.STATE_PAID], states=[State.STATE_FULFILLED]) == "c"
    assert await found(shop, refund_required=True) == "d"
    assert await found(shop, refund_required=False) == "e c b a"
    assert await found(shop, held=True) == "e"
    assert await found(shop, held=False, states=[State.STATE_PENDING]) == "a"
    assert await found(shop, location_id="main") == "e b a"
    assert await found(shop, location_id="main", sku="MUG") == "e b"
    assert await found(shop, location_id="elsewhere") == ""
    assert await found(shop, sku="TEE", states=[State.STATE_PENDING, State.STATE_FULFILLED]) == "c a"
    assert await found(shop, min_net=money("10.00")) == "c a"
    assert await found(shop, max_net=money("2.50")) == "e d"
    assert await found(shop, min_net=money("2.50"), max_net=money("10.00"), order_by="create_time") == "a b e"
    assert await found(shop, min_net=money("1", "USD")) == ""
    for name, tags in (("a", ["vip", "gift"]), ("c", ["vip"])):
        update = pb.UpdateOrderRequest(order_id=orders[name].order_id, tags=tags)
        await shop.pms.orders.UpdateOrder(update)
    assert await found(shop, tags=["vip"]) == "c a"
    assert await found(shop, tags=["vip", "gift"]) == "a"
    assert await found(shop, tags=["vip"], states=[State.STATE_FULFILLED], order_by="net") == "c"
    assert await found(shop, tags=["VIP"]) == ""


async def test_orders_are_found_by_time(shop: Shop, orders: dict[str, pb.Order]) -> None:
    def after(stamp: Timestamp, **span: float) -> Timestamp:
        moved = Timestamp()
        moved.FromDatetime(stamp.ToDatetime() + timedelta(**span))
        return moved

    created = orders["c"].create_time
    assert await found(shop, create_start_time=created) == "e d c"
    assert await found(shop, create_end_time=created) == "b a"
    assert await found(shop, create_start_time=created, create_end_time=after(created, microseconds=1)) == "c"
    updated = orders["e"].update_time
    assert await found(shop, update_start_time=updated, order_by="update_time") == "e b c d"
    assert await found(shop, update_end_time=updated) == "a"
    due = orders["a"].payment_due_time
    assert await found(shop, due_start_time=due, due_end_time=after(due, days=1)) == "a", "e was paid once"
    assert await found(shop, due_end_time=due) == ""
    assert await found(shop, due_start_time=after(due, days=1)) == ""


async def test_orders_are_found_by_text(shop: Shop, orders: dict[str, pb.Order]) -> None:
    searches = {
        "lovelace": "a",
        "ADA.Lovelace@": "a",
        "hopper grace": "b",
        "emilie": "c",
        "sw1a1aa": "c",
        "jd01": "c",
        "4600": "c",
        "grace lovelace": "",
        "'; --": "",
        "\\": "",
        "!!": "",
    }
    assert {search: await found(shop, search=search) for search in searches} == searches
    assert {search: await found(shop, search=search, order_by="net") for search in searches} == searches
    for name, order in orders.items():
        assert name in await found(shop, search=order.order_id[:8])
        assert await found(shop, search=order.order_id) == name
    assert await found(shop, search="lovelace", states=[State.STATE_FULFILLED]) == ""


async def test_lists_are_sorted_and_paged(shop: Shop, orders: dict[str, pb.Order]) -> None:
    wanted = {
        "create_time": "a b c d e",
        "create_time desc": "e d c b a",
        "update_time": "a e b c d",
        "update_time desc": "d c b e a",
        "net": "d e b a c",
        "net desc": "c a b e d",
    }
    for order_by, expected in wanted.items():
        names, request = [], pb.ListOrdersRequest(order_by=order_by, page_size=2)
        while True:
            page = await shop.pms.orders.ListOrders(request)
            names += [order.reference for order in page.orders]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert (order_by, " ".join(names)) == (order_by, expected)
    other = pb.ListOrdersRequest(order_by="net", page_size=2, page_token=request.page_token)
    assert (await refused(shop.pms.orders.ListOrders(other))).reason == "PAGE_TOKEN_INVALID"


async def test_pages_of_several_states_miss_nothing(shop: Shop, orders: dict[str, pb.Order]) -> None:
    names, request = "", pb.ListOrdersRequest(states=list(State.State.values())[1:], page_size=1)
    while True:
        page = await shop.pms.orders.ListOrders(request)
        names += "".join(order.reference for order in page.orders)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert names == "edcba"


async def test_orders_are_counted(shop: Shop, orders: dict[str, pb.Order]) -> None:
    async def counts() -> dict[tuple[str, str], tuple[int, int, int]]:
        answer = await shop.pms.orders.CountOrders(pb.CountOrdersRequest())
        return {
            (State.State.Name(each.state)[6:], Paid.State.Name(each.payment_state)[6:]): (
                each.orders,
                each.held,
                each.refund_required,
            )
            for each in answer.counts
        }

    expected = {
        ("PENDING", "PENDING"): (1, 0, 0),
        ("PENDING", "VOIDED"): (1, 1, 0),
        ("PROCESSING", "PAID"): (1, 0, 0),
        ("FULFILLED", "PAID"): (1, 0, 0),
        ("CANCELLED", "PAID"): (1, 0, 1),
    }
    assert await counts() == expected
    await add_up_counts(shop.pool)
    assert await shop.pool.fetchval("SELECT count(*) FROM order_counts") == len(expected)
    assert await counts() == expected


async def test_orders_of_an_earlier_release_follow(shop: Shop, orders: dict[str, pb.Order]) -> None:
    await shop.pool.execute(
        "UPDATE orders SET payment_state = 0, refund_required = false, held = false, net = 0, indexed_version = 0"
    )
    await shop.pool.execute("DELETE FROM order_search")
    assert await found(shop, payment_states=[Paid.STATE_PAID]) == ""
    assert await found(shop, states=[State.STATE_PENDING]) == "e a"  # what they had is found all the time
    assert await refresh_orders(shop.pool) == len(orders)
    assert await found(shop, payment_states=[Paid.STATE_PAID], refund_required=True) == "d"
    assert await found(shop, search="lovelace") == "a"
    assert await found(shop, order_by="net desc") == "c a b e d"
    assert await refresh_orders(shop.pool) == 0


async def test_filters_that_cannot_be(shop: Shop) -> None:
    now, then = Timestamp(), Timestamp()
    now.FromDatetime(datetime.now(UTC))
    then.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    for fields, at_fault in (
        ({"create_start_time": now, "create_end_time": then}, "create_end_time"),
        ({"update_start_time": now, "update_end_time": then}, "update_end_time"),
        ({"due_start_time": now, "due_end_time": then}, "due_end_time"),
        ({"min_net": money("1"), "max_net": money("2", "USD")}, "max_net"),
        ({"order_by": "title"}, "order_by"),
        ({"search": "x" * 201}, "search"),
        ({"tags": [""]}, "tags[0]"),
    ):
        refusal = await refused(shop.pms.orders.ListOrders(pb.ListOrdersRequest(**fields)))
        assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", [at_fault])


async def test_a_storefront_cannot_filter_by_what_it_does_not_see(shop: Shop) -> None:
    for fields in ({"held": False}, {"location_id": "main"}, {"search": "ada"}, {"tags": ["vip"]}):
        with pytest.raises(RoleNotAllowed):
            order_filter(pb.ListOrdersRequest(**fields), Role.STOREFRONT, "ada")
    order_filter(pb.ListOrdersRequest(order_by="net", refund_required=True), Role.STOREFRONT, "ada")
    counts = await refused(shop.storefront.orders.CountOrders(pb.CountOrdersRequest()))
    assert counts.code == grpc.StatusCode.PERMISSION_DENIED
