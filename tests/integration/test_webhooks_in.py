"""Webhooks in: whose are taken, that each is done once, and what each type does."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from pydantic import SecretStr
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.config import Settings
from tests.incoming import (
    FOREIGN_SECRET,
    OLD_SECRET,
    SECRET,
    STOREFRONT_SECRET,
    Headers,
    body_of,
    deliver,
    post,
    signed,
)
from tests.shop import Shop, money, refused, running_shop
from tests.snapshot import nothing_written

ADJUSTMENT = inventory.AdjustStockRequest(sku="TEE", delta=5, reason=inventory.ADJUSTMENT_REASON_RECEIVED)
BODY = body_of("stock.adjusted", ADJUSTMENT)


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """A shop with two active secrets and TEE, of which there is none."""
    secrets = SecretStr(f"{SECRET}, {OLD_SECRET}")
    async with running_shop(settings.model_copy(update={"webhook_secret": secrets})) as shop:
        await shop.sell("TEE")
        yield shop


# Whose are taken


async def test_any_active_secret_will_do(shop: Shop) -> None:
    for secret in (SECRET, OLD_SECRET):
        await post(shop, "pms", BODY, signed(BODY, secret=secret))
    assert await shop.counters("TEE") == (10, 0, 0)


async def test_one_right_signature_among_others_will_do(shop: Shop) -> None:
    """As a sender does that changes its secret."""
    headers = signed(BODY, "msg_1", FOREIGN_SECRET)
    right = signed(BODY, "msg_1")["webhook-signature"]
    headers["webhook-signature"] += f" v2,bm8= {right}"
    await post(shop, "pms", BODY, headers)
    assert await shop.counters("TEE") == (5, 0, 0)


def invalid_webhooks() -> dict[str, tuple[bytes, Headers]]:
    right = signed(BODY)
    now = {"webhook-timestamp": str(int(time.time()))}
    return {
        "another secret": (BODY, signed(BODY, secret=FOREIGN_SECRET)),
        "another body": (BODY.replace(b'"5"', b'"6"'), right),
        "another id": (BODY, right | {"webhook-id": "msg_2"}),
        "another time": (BODY, signed(BODY, at=time.time() - 9) | now),
        "reformatted": (BODY + b"\n", right),
        **{f"no {gone}": (BODY, {name: right[name] for name in right if name != gone}) for gone in right},
        "nothing": (BODY, {}),
        "no base64": (BODY, right | {"webhook-signature": "v1,?"}),
        "no version": (BODY, right | {"webhook-signature": "nonsense"}),
        "no number": (BODY, right | {"webhook-timestamp": "yesterday"}),
        "not a finite number": (BODY, right | {"webhook-timestamp": "inf"}),
        "no text": (b"\xff\xfe", signed(b"\xff\xfe", secret=FOREIGN_SECRET)),
    }


async def test_a_signature_that_is_not_right_is_refused(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        for case, (body, headers) in invalid_webhooks().items():
            for audience in ("pms", "storefront"):
                refusal = await refused(post(shop, audience, body, headers))
                answer = (refusal.code.name, refusal.reason)
                assert answer == ("UNAUTHENTICATED", "WEBHOOK_SIGNATURE_INVALID"), case
                assert refusal.metadata["header"].startswith("webhook-")


async def test_clocks_may_differ_by_five_minutes_and_no_more(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        for seconds in (-310, 310):
            refusal = await refused(post(shop, "pms", BODY, signed(BODY, at=time.time() + seconds)))
            assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "WEBHOOK_TIMESTAMP_STALE")
    for seconds in (-290, 290):
        await post(shop, "pms", BODY, signed(BODY, at=time.time() + seconds))
    assert await shop.counters("TEE") == (10, 0, 0)


async def test_without_a_secret_nothing_is_taken(settings: Settings) -> None:
    async with running_shop(settings) as shop, nothing_written(shop.pool):
        refusal = await refused(post(shop, "pms", BODY, signed(BODY)))
        assert refusal.reason == "WEBHOOK_SIGNATURE_INVALID"


async def test_each_endpoint_has_a_secret_of_its_own_and_its_name_is_signed(settings: Settings) -> None:
    secrets = {"pms_incoming_webhook_secret": SecretStr(f"{SECRET} {OLD_SECRET}")}
    secrets["storefront_incoming_webhook_secret"] = SecretStr(STOREFRONT_SECRET)
    named = body_of("stock.adjusted", ADJUSTMENT, endpoint="pms")
    async with running_shop(settings.model_copy(update=secrets)) as shop:
        await shop.sell("TEE")
        for secret in (SECRET, OLD_SECRET):
            await post(shop, "pms", named, signed(named, secret=secret))
        async with nothing_written(shop.pool):
            refusal = await refused(post(shop, "pms", named, signed(named, secret=STOREFRONT_SECRET)))
            assert refusal.reason == "WEBHOOK_SIGNATURE_INVALID"
            refusal = await refused(post(shop, "storefront", named, signed(named)))
            assert refusal.reason == "WEBHOOK_SIGNATURE_INVALID"
            refusal = await refused(post(shop, "storefront", named, signed(named, secret=STOREFRONT_SECRET)))
            assert (refusal.reason, refusal.metadata["field"]) == ("WEBHOOK_BODY_INVALID", "endpoint")
            for fields in ({}, {"endpoint": "storefront"}, {"endpoint": None}, {"endpoint": ["pms"]}):
                body = body_of("stock.adjusted", ADJUSTMENT, **fields)
                refusal = await refused(post(shop, "pms", body, signed(body)))
                assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "WEBHOOK_BODY_INVALID")
                assert refusal.metadata["field"] == "endpoint"
        assert await shop.counters("TEE") == (10, 0, 0)


async def test_the_former_secret_counts_beside_the_new_ones_with_a_warning(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = {"webhook_secret": SecretStr(OLD_SECRET), "pms_incoming_webhook_secret": SecretStr(SECRET)}
    warning = "webhooks to the endpoint pms are signed with WEBHOOK_SECRET, which goes"
    async with running_shop(settings.model_copy(update=secrets)) as shop:
        assert "set STOREFRONT_INCOMING_WEBHOOK_SECRET in its place" in caplog.text
        await shop.sell("TEE")
        named = body_of("stock.adjusted", ADJUSTMENT, endpoint="pms")
        await post(shop, "pms", named, signed(named))
        assert warning not in caplog.text
        await post(shop, "pms", BODY, signed(BODY, secret=OLD_SECRET))
        await post(shop, "pms", named, signed(named, secret=OLD_SECRET))
        assert caplog.text.count(warning) == 1
        async with nothing_written(shop.pool):
            refusal = await refused(post(shop, "storefront", named, signed(named, secret=OLD_SECRET)))
            assert (refusal.reason, refusal.metadata["field"]) == ("WEBHOOK_BODY_INVALID", "endpoint")
            refusal = await refused(post(shop, "pms", BODY, signed(BODY)))
            assert refusal.metadata["field"] == "endpoint", "its own secret signs the name, too"
    assert SECRET not in caplog.text


# Once


async def test_a_replay_is_answered_and_changes_nothing(shop: Shop) -> None:
    first = await post(shop, "pms", BODY, signed(BODY, "msg_1", at=time.time() - 60))
    async with nothing_written(shop.pool):
        assert await post(shop, "pms", BODY, signed(BODY, "msg_1")) == first
    await post(shop, "pms", BODY, signed(BODY, "msg_2"))
    assert await shop.counters("TEE") == (10, 0, 0)


async def test_duplicates_at_the_same_time_are_done_once(shop: Shop, settings: Settings) -> None:
    """Sent to two processes, as an edge would."""
    update = {"webhook_secret": SecretStr(SECRET)}
    async with running_shop(settings.model_copy(update=update)) as other:
        headers = signed(BODY, "msg_1")
        answers = await asyncio.gather(*(post(each, "pms", BODY, headers) for each in (shop, other) for _ in range(10)))
    assert {answer.webhook_id for answer in answers} == {"msg_1"}
    assert await shop.counters("TEE") == (5, 0, 0)


async def test_an_id_that_was_used_for_something_else_is_refused(shop: Shop) -> None:
    await post(shop, "pms", BODY, signed(BODY, "msg_1"))
    other = body_of("stock.adjusted", {"sku": "TEE", "delta": "6", "reason": "ADJUSTMENT_REASON_RECEIVED"})
    async with nothing_written(shop.pool):
        refusal = await refused(post(shop, "pms", other, signed(other, "msg_1")))
    assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_the_webhook_id_counts_whatever_request_id_the_body_has(shop: Shop) -> None:
    for webhook_id, request_id, units in (("msg_1", 1, 5), ("msg_1", 2, 5), ("msg_2", 2, 10)):
        data = {"sku": "TEE", "delta": "5", "reason": 1, "requestId": str(uuid.UUID(int=request_id))}
        await deliver(shop, "pms", "stock.adjusted", data, webhook_id)
        assert await shop.counters("TEE") == (units, 0, 0)


async def test_a_sku_may_come_in_either_form_of_unicode_and_be_renamed(shop: Shop) -> None:
    await shop.sell("GRÜN")
    await deliver(shop, "pms", "stock.adjusted", {"sku": "GRU\u0308N", "delta": 5, "reason": 1}, "msg_1")
    await deliver(shop, "pms", "product.sku_renamed", {"sku": "GRU\u0308N", "newSku": "緑-1"}, "msg_2")
    await deliver(shop, "pms", "product.sku_renamed", {"sku": "GRU\u0308N", "newSku": "緑-1"}, "msg_2")
    assert await shop.counters("緑-1") == (5, 0, 0)
    body = body_of("stock.adjusted", {"sku": "A\u202eB", "delta": 1, "reason": 1})
    assert (await refused(post(shop, "pms", body, signed(body)))).fields == ["sku"]


async def test_one_id_of_two_types_with_the_same_data_is_refused(shop: Shop) -> None:
    product_id = await shop.sell("MUG")
    await deliver(shop, "pms", "product.unpublished", {"productId": product_id}, "msg_1")
    other = body_of("product.archived", {"productId": product_id})
    assert (await refused(post(shop, "pms", other, signed(other, "msg_1")))).reason == "REQUEST_ID_REUSED"


async def test_what_was_refused_may_be_sent_again(shop: Shop) -> None:
    body = body_of("stock.adjusted", {"sku": "TEE", "delta": "-1", "reason": "ADJUSTMENT_REASON_LOST"})
    async with nothing_written(shop.pool):
        refusal = await refused(post(shop, "pms", body, signed(body, "msg_1")))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "STOCK_NEGATIVE")
    await shop.receive("TEE", 1)
    await post(shop, "pms", body, signed(body, "msg_1"))
    assert await shop.counters("TEE") == (0, 0, 0)


# What is no webhook of ours


async def test_an_unknown_type_is_refused_and_http_is_told_422(shop: Shop) -> None:
    for audience, type_ in (("pms", "payment.updated"), ("storefront", "stock.adjusted"), ("pms", "order.exploded")):
        body = body_of(type_, {})
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await post(shop, audience, body, signed(body))
        trailers = dict(error.value.trailing_metadata() or ())
        assert trailers["x-http-status"] == "422"
        refusal = await refused(post(shop, audience, body, signed(body)))
        assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "WEBHOOK_TYPE_UNKNOWN")
        assert refusal.metadata == {"type": type_}


MALFORMED = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no type": b'{"data": {}}',
    "a number for a type": b'{"type": 1, "data": {}}',
    "half a character for a type": b'{"type": "\\ud800", "data": {}}',
    "a line for a type": b'{"type": "a\\nb", "data": {}}',
    "too long a type": b'{"type": "' + b"x" * 100_000 + b'", "data": {}}',
    "no data": b'{"type": "stock.adjusted"}',
    "a list for data": b'{"type": "stock.adjusted", "data": []}',
    "an unknown field": body_of("stock.adjusted", {"sku": "TEE", "delta": "5", "why": "x"}),
    "a wrong kind": body_of("stock.adjusted", {"sku": 5}),
    "too large a number": body_of("stock.adjusted", {"delta": "9" * 30}),
    "half a character": b'{"type": "stock.adjusted", "data": {"sku": "\\ud800"}}',
    "very deep": b'{"type": "stock.adjusted", "data": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "a million brackets": b"[" * 1_000_000,
}


async def test_a_malformed_body_is_refused(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        for case, body in MALFORMED.items():
            refusal = await refused(post(shop, "pms", body, signed(body)))
            assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "WEBHOOK_BODY_INVALID"), case


async def test_data_keeps_the_rules_of_its_method(shop: Shop) -> None:
    body = body_of("stock.adjusted", {"sku": "", "delta": "5"})
    async with nothing_written(shop.pool):
        refusal = await refused(post(shop, "pms", body, signed(body)))
    assert (refusal.reason, set(refusal.fields)) == ("FIELD_INVALID", {"sku", "reason"})


# What each does


async def test_stock_adjusted(shop: Shop) -> None:
    await deliver(shop, "pms", "stock.adjusted", ADJUSTMENT)
    ledger = await shop.pms.inventory.ListStockMovements(inventory.ListStockMovementsRequest(sku="TEE"))
    assert [(each.on_hand_delta, each.actor) for each in ledger.movements] == [(5, "webhook:pms")]


async def test_stock_synced_has_a_result_for_each_row(shop: Shop) -> None:
    rows = [{"sku": "TEE", "onHand": "4"}, {"sku": "NONE", "delta": 1}, {"sku": ""}, {"sku": "TEE", "delta": -1}]
    body = body_of("stock.synced", {"rows": rows, "reference": "night"})
    async with nothing_written(shop.pool):
        checking = body_of("stock.synced", {"rows": rows, "reference": "night", "validateOnly": True})
        checked = await post(shop, "pms", checking, signed(checking))
    first = await post(shop, "pms", body, signed(body, "msg_1"))
    assert [each.error.code for each in first.synced.results] == [0, 5, 3, 0]
    assert [(each.on_hand, each.on_hand_delta) for each in first.synced.results] == [(4, 4), (0, 0), (0, 0), (3, -1)]
    assert checked.synced.results == first.synced.results
    async with nothing_written(shop.pool):
        assert await post(shop, "pms", body, signed(body, "msg_1")) == first
        many = body_of("stock.synced", {"rows": [{"sku": "TEE", "delta": 1}] * 1001})
        assert (await refused(post(shop, "pms", many, signed(many)))).fields == ["rows"]
    ledger = await shop.pms.inventory.ListStockMovements(inventory.ListStockMovementsRequest(reference="night"))
    assert [(each.on_hand_delta, each.actor) for each in ledger.movements] == [(-1, "webhook:pms"), (4, "webhook:pms")]


async def test_a_product_from_draft_to_archive(shop: Shop) -> None:
    product = catalog.Product(
        title="Mug", handle="mug", variants=[catalog.Variant(sku="MUG", price=money("9.90"))], vendor="Loom"
    )
    await deliver(shop, "pms", "product.upserted", catalog.ImportProductsRequest(product=product))
    (made,) = (await shop.pms.catalog.ListProducts(catalog.ListProductsRequest(vendor="Loom"))).products
    assert (made.state, made.title) == (catalog.Product.STATE_DRAFT, "Mug")

    product.title = "Large mug"
    await deliver(shop, "pms", "product.upserted", catalog.ImportProductsRequest(product=product))
    for type_, state in (
        ("product.published", "PUBLISHED"),
        ("product.unpublished", "UNPUBLISHED"),
        ("product.archived", "ARCHIVED"),
        ("product.restored", "UNPUBLISHED"),
    ):
        await deliver(shop, "pms", type_, {"productId": made.product_id})
        now = await shop.pms.catalog.GetProduct(catalog.GetProductRequest(product_id=made.product_id))
        assert (now.title, catalog.Product.State.Name(now.state)) == ("Large mug", f"STATE_{state}")


async def test_a_product_that_cannot_be_made_is_refused(shop: Shop) -> None:
    variant = catalog.Variant(sku="TEE", price=money("9.90"))
    taken = catalog.ImportProductsRequest(product=catalog.Product(title="Mug", handle="mug", variants=[variant]))
    body = body_of("product.upserted", taken)
    async with nothing_written(shop.pool):
        refusal = await refused(post(shop, "pms", body, signed(body)))
        assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "SKU_TAKEN")
        untitled = body_of("product.upserted", {"product": {}})
        assert set((await refused(post(shop, "pms", untitled, signed(untitled)))).fields) == {"product.title"}


async def test_an_order_from_payment_to_return(shop: Shop) -> None:
    await shop.receive("TEE", 5)
    order = await shop.order("TEE", 2)

    async def now() -> Any:
        return await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))

    payment = orders.RecordPaymentRequest(
        order_id=order.order_id,
        provider="bank",
        provider_event_id="1",
        kind=orders.RecordPaymentRequest.KIND_CAPTURED,
        amount=order.totals.total,
    )
    await deliver(shop, "storefront", "payment.updated", payment)
    assert (await now()).payment.state == orders.Payment.STATE_PAID
    await deliver(shop, "storefront", "order.processing", {"orderId": order.order_id})
    assert (await now()).state == orders.Order.STATE_PROCESSING
    await deliver(shop, "storefront", "order.fulfilled", {"orderId": order.order_id, "trackingNumber": "T1"})
    assert (await now()).fulfillments[0].tracking_number == "T1"
    back = {"orderId": order.order_id, "lines": [{"lineNumber": 1, "quantity": "1"}]}
    await deliver(shop, "storefront", "order.returned", back)
    assert (await now()).lines[0].returned == 1
    assert await shop.counters("TEE") == (4, 0, 0)


async def test_order_cancelled(shop: Shop) -> None:
    await shop.receive("TEE", 5)
    order = await shop.order("TEE", 2)
    await deliver(shop, "storefront", "order.cancelled", {"orderId": order.order_id, "reason": "changed my mind"})
    assert await shop.counters("TEE") == (5, 0, 0)
    again = body_of("order.cancelled", {"orderId": order.order_id})
    refusal = await refused(post(shop, "storefront", again, signed(again)))
    assert refusal.reason == "ORDER_STATE_INVALID"
    nobody = body_of("order.cancelled", {"orderId": str(uuid.uuid4())})
    assert (await refused(post(shop, "storefront", nobody, signed(nobody)))).code.name == "NOT_FOUND"


async def test_an_order_that_is_placed_comes_back_in_the_response(shop: Shop) -> None:
    await shop.receive("TEE", 5)
    customer = orders.Customer(email="ada@shop.example")
    line = orders.CreateOrderRequest.Line(sku="TEE", quantity=2)
    body = body_of("order.placed", orders.CreateOrderRequest(lines=[line], reference="M-1", customer=customer))
    headers = signed(body)
    response = await post(shop, "storefront", body, headers)
    order = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=response.order.order_id))
    assert response.order == order
    assert (order.reference, order.customer.email) == ("M-1", "ada@shop.example")
    async with nothing_written(shop.pool):
        assert await post(shop, "storefront", body, headers) == response
        large = body_of("order.placed", orders.CreateOrderRequest(lines=[line, line]))
        assert (await refused(post(shop, "storefront", large, signed(large)))).reason == "INSUFFICIENT_STOCK"
    assert await shop.counters("TEE") == (5, 0, 2)
