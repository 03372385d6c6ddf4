"""Many orders: batches with a result each, and lists by what staff look for."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from stockward.order.v1 import order_pb2 as pb

from stockward_server.domain.order import Order
from stockward_server.storage.database import Executor
from stockward_server.storage.order_rows import load_orders
from stockward_server.storage.read import order_views
from tests.shop import Shop, refused
from tests.snapshot import nothing_written


def request(sku: str, quantity: int = 1, **fields: Any) -> pb.CreateOrderRequest:
    return pb.CreateOrderRequest(lines=[pb.CreateOrderRequest.Line(sku=sku, quantity=quantity)], **fields)


async def batch(shop: Shop, *requests: pb.CreateOrderRequest) -> list[pb.BatchCreateOrdersResponse.Result]:
    answer = await shop.storefront.orders.BatchCreateOrders(pb.BatchCreateOrdersRequest(requests=requests))
    return list(answer.results)


def info_of(error: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert error.details[0].Unpack(info)
    return info


async def test_each_order_of_a_batch_stands_for_itself(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    results = await batch(
        shop,
        request("TEE", 2, reference="a"),
        request("NONE"),
        request("TEE", 2, reference="b"),
        request("TEE", 0),
        pb.CreateOrderRequest(),
        request("TEE", 1, reference="c"),
    )
    outcomes = [each.order.reference if each.HasField("order") else info_of(each.error).reason for each in results]
    assert outcomes == ["a", "SKU_UNKNOWN", "INSUFFICIENT_STOCK", "FIELD_INVALID", "FIELD_INVALID", "c"]
    assert results[1].error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert info_of(results[1].error).metadata == {"sku": "NONE", "field": "lines[0].sku"}
    assert info_of(results[3].error).metadata == {"field": "lines[0].quantity"}
    assert await shop.counters("TEE") == (3, 0, 3)
    await shop.verify()


async def test_a_batch_sent_twice_creates_its_orders_once(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    requests = [request("TEE", quantity, request_id=str(uuid.uuid4())) for quantity in (1, 9, 1)]
    first = await batch(shop, *requests)
    assert info_of(first[1].error).reason == "INSUFFICIENT_STOCK"
    async with nothing_written(shop.pool):
        again = await batch(shop, *requests)
    assert [again[0], again[2]] == [first[0], first[2]]
    await shop.receive("TEE", 9)
    third = await batch(shop, *requests)  # what was refused is tried again
    assert [third[0], third[2]] == [first[0], first[2]]
    assert third[1].order.lines[0].quantity == 9


async def test_a_request_id_twice_in_a_batch_is_one_order(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    request_id = str(uuid.uuid4())
    same = request("TEE", 1, request_id=request_id)
    first, again, other = await batch(shop, same, same, request("TEE", 2, request_id=request_id))
    assert first == again
    assert info_of(other.error).reason == "REQUEST_ID_REUSED"
    assert await shop.counters("TEE") == (5, 0, 1)


async def test_a_full_batch(shop: Shop) -> None:
    await shop.sell("TEE", 150)
    results = await batch(shop, *[request("TEE")] * 200)
    assert sum(each.HasField("order") for each in results) == 150
    assert {info_of(each.error).reason for each in results if each.HasField("error")} == {"INSUFFICIENT_STOCK"}
    assert await shop.counters("TEE") == (150, 0, 150)


async def test_a_batch_has_one_order_at_least_and_two_hundred_at_most(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    async with nothing_written(shop.pool):
        for count in (0, 201):
            wanted = pb.BatchCreateOrdersRequest(requests=[request("TEE")] * count)
            assert (await refused(shop.storefront.orders.BatchCreateOrders(wanted))).fields == ["requests"]


# Lists


async def ids(shop: Shop, **fields: Any) -> list[str]:
    answer = await shop.pms.orders.ListOrders(pb.ListOrdersRequest(**fields))
    return [order.order_id for order in answer.orders]


async def create(shop: Shop, sku: str, customer_id: str = "", reference: str = "") -> str:
    order = await shop.order(sku, customer=pb.Customer(customer_id=customer_id), reference=reference)
    return order.order_id


async def test_pending_orders_come_oldest_first_and_page_by_page(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    made = [await create(shop, "TEE") for _ in range(6)]
    await shop.storefront.orders.CancelOrder(pb.CancelOrderRequest(order_id=made.pop(2)))
    wanted = pb.ListPendingOrdersRequest(page_size=2)
    pages = []
    while True:
        page = await shop.pms.orders.ListPendingOrders(wanted)
        assert all(order.state == pb.Order.STATE_PENDING for order in page.orders)
        pages.append([order.order_id for order in page.orders])
        if not page.next_page_token:
            break
        wanted.page_token = page.next_page_token
    assert pages == [made[:2], made[2:4], made[4:]]


async def test_orders_come_newest_first_and_page_by_page(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    made = [await create(shop, "TEE") for _ in range(4)]
    wanted = pb.ListOrdersRequest(page_size=2)
    first = await shop.pms.orders.ListOrders(wanted)
    made.append(await create(shop, "TEE"))  # arrives while somebody reads
    wanted.page_token = first.next_page_token
    second = await shop.pms.orders.ListOrders(wanted)
    assert [order.order_id for page in (first, second) for order in page.orders] == made[3::-1]
    assert second.next_page_token == ""
    assert await ids(shop) == made[::-1]


async def test_orders_are_found_by_state_customer_reference_and_sku(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    await shop.sell("MUG", 9)
    a = await create(shop, "TEE", "ada", "web-1")
    b = await create(shop, "MUG", "ada", "web-2")
    c = await create(shop, "TEE", "bob", "web-1")
    d = await create(shop, "TEE")
    await shop.storefront.orders.CancelOrder(pb.CancelOrderRequest(order_id=c))
    paid = await shop.pay(await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=b)))
    await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=paid.order_id))
    states = pb.Order

    assert await ids(shop, states=[states.STATE_PENDING]) == [d, a]
    assert await ids(shop, states=[states.STATE_CANCELLED, states.STATE_PROCESSING]) == [c, b]
    assert await ids(shop, customer_id="ada") == [b, a]
    assert await ids(shop, reference="web-1") == [c, a]
    assert await ids(shop, sku="MUG") == [b]
    assert await ids(shop, customer_id="ada", reference="web-1", sku="TEE") == [a]
    assert await ids(shop, customer_id="ada", states=[states.STATE_CANCELLED]) == []
    assert await ids(shop, customer_id="eve") == []


async def test_orders_of_many_lines_are_read_a_few_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_views, "LINES_AT_ONCE", 5)
    read_at_once: list[int] = []

    async def load(connection: Executor, ids: Sequence[str]) -> dict[str, Order]:
        read_at_once.append(len(ids))
        return await load_orders(connection, ids)

    monkeypatch.setattr(order_views, "load_orders", load)
    await shop.sell("TEE", 12)
    made = [result.order.order_id for result in await batch(shop, *[request("TEE")] * 12)]
    assert await ids(shop) == made[::-1]
    assert read_at_once == [5, 5, 2]


async def test_a_listed_order_is_whole(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    customer = pb.Customer(customer_id="ada", email="ada@example.org", shipping_address=pb.Address(city="London"))
    order = await shop.order("TEE", 2, customer=customer, reference="web-1")
    (listed,) = (await shop.pms.orders.ListOrders(pb.ListOrdersRequest())).orders
    (pending,) = (await shop.pms.orders.ListPendingOrders(pb.ListPendingOrdersRequest())).orders
    assert listed == pending == order


async def test_an_order_that_does_not_exist(shop: Shop) -> None:
    order_id = "0190aaaa-0000-7000-8000-000000000000"
    refusal = await refused(shop.storefront.orders.GetOrder(pb.GetOrderRequest(order_id=order_id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
    assert refusal.metadata == {"order_id": order_id}
