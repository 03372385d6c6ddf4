"""Many orders processed, shipped or cancelled at once: each stands for itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from stockward.order.v1 import order_pb2 as pb

from tests.shop import Shop, refused
from tests.snapshot import nothing_written

VERBS = {
    "BatchProcessOrders": pb.ProcessOrderRequest,
    "BatchFulfillOrders": pb.FulfillOrderRequest,
    "BatchCancelOrders": pb.CancelOrderRequest,
}


def outcome(result: pb.BatchOrderResult) -> str:
    """The state of the order, or the reason of the refusal."""
    if result.HasField("order"):
        return pb.Order.State.Name(result.order.state)[6:]
    info = error_details_pb2.ErrorInfo()
    assert result.error.details[0].Unpack(info)
    return info.reason


async def batch(shop: Shop, verb: str, requests: Sequence[Any]) -> list[str]:
    answer = await getattr(shop.pms.orders, verb)(getattr(pb, f"{verb}Request")(requests=requests))
    return [outcome(result) for result in answer.results]


async def on_account(shop: Shop, sku: str, quantity: int = 1) -> str:
    line = pb.CreateOrderRequest.Line(sku=sku, quantity=quantity)
    order = await shop.pms.orders.CreateOrder(
        pb.CreateOrderRequest(lines=[line], payment_terms=pb.PAYMENT_TERMS_ON_ACCOUNT)
    )
    return str(order.order_id)


async def test_each_order_of_a_batch_stands_for_itself(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    first, second, third = [await on_account(shop, "TEE", 2) for _ in range(3)]
    unpaid = (await shop.order("TEE")).order_id
    unknown = str(uuid.uuid4())
    process = pb.ProcessOrderRequest
    assert await batch(
        shop,
        "BatchProcessOrders",
        [
            process(order_id=first),
            process(order_id=unknown),
            process(order_id=second, etag="stale"),
            process(order_id=unpaid),
            process(order_id="no id"),
            process(order_id=second),
            process(order_id=first),
        ],
    ) == [
        *("PROCESSING", "ORDER_NOT_FOUND", "ETAG_MISMATCH", "PAYMENT_REQUIRED", "FIELD_INVALID", "PROCESSING"),
        "ORDER_STATE_INVALID",
    ]
    one = [pb.LineQuantity(line_number=1, quantity=1)]
    fulfill = pb.FulfillOrderRequest
    shipped = [fulfill(order_id=first, lines=one), fulfill(order_id=third), fulfill(order_id=second, carrier="DHL")]
    expected = ["PARTIALLY_FULFILLED", "ORDER_STATE_INVALID", "FULFILLED"]
    assert await batch(shop, "BatchFulfillOrders", shipped) == expected
    cancel = pb.CancelOrderRequest
    cancelled = [cancel(order_id=first), cancel(order_id=third, reason="by phone"), cancel(order_id=unpaid)]
    assert await batch(shop, "BatchCancelOrders", cancelled) == ["ORDER_STATE_INVALID", "CANCELLED", "CANCELLED"]
    assert await shop.counters("TEE") == (6, 0, 1)
    await shop.verify()


async def test_one_illegal_order_of_five_hundred(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    order_id = await on_account(shop, "TEE")
    requests = [pb.ProcessOrderRequest(order_id=str(uuid.uuid4())) for _ in range(499)]
    requests.insert(250, pb.ProcessOrderRequest(order_id=order_id))
    outcomes = await batch(shop, "BatchProcessOrders", requests)
    assert (outcomes[250], outcomes.count("ORDER_NOT_FOUND")) == ("PROCESSING", 499)


async def test_a_batch_and_the_method_for_one_order_share_request_ids(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    order_id = await on_account(shop, "TEE")
    request = pb.ProcessOrderRequest(order_id=order_id, request_id=str(uuid.uuid4()))
    order = await shop.pms.orders.ProcessOrder(request)
    async with nothing_written(shop.pool):
        answer = await shop.pms.orders.BatchProcessOrders(pb.BatchProcessOrdersRequest(requests=[request, request]))
    assert [result.order for result in answer.results] == [order, order]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_batch_is_for_staff_and_has_one_to_five_hundred_orders(shop: Shop, verb: str) -> None:
    request = getattr(pb, f"{verb}Request")
    each = VERBS[verb](order_id=str(uuid.uuid4()))
    for count in (0, 501):
        assert (await refused(getattr(shop.pms.orders, verb)(request(requests=[each] * count)))).fields == ["requests"]
    refusal = await refused(getattr(shop.storefront.orders, verb)(request(requests=[each])))
    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED
