"""Bad input: every refusal says what is wrong, names the field at fault, and leaves the database as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from tests.known_shop import (
    UNKNOWN_ID,
    Bad,
    Known,
    adjust,
    assert_refused,
    cases,
    hold,
    invalid,
    line,
    order,
    payment,
    product,
    sync,
)
from tests.shop import money

ROW = inventory.SyncStockRequest.Row
COUNT = inventory.BatchSetStockRequest.Row
UNITS = orders.LineQuantity(line_number=1, quantity=1)

TAX = orders.Charge.KIND_TAX


def charge(order_id: str, reason: str = "because", **fields: Any) -> orders.AddChargeRequest:
    """A fee of 1.00 EUR for an order, unless said otherwise."""
    wanted = {"kind": orders.Charge.KIND_FEE, "amount": money("1"), **fields}
    return orders.AddChargeRequest(order_id=order_id, charge=orders.Charge(**wanted), reason=reason)


SKUS = {
    "order": Bad(order(line(), line("NONE")), "NOT_FOUND", "SKU_UNKNOWN", ["lines[1].sku"], {"sku": "NONE"}),
    "order, other case": Bad(order(line("tee")), "NOT_FOUND", "SKU_UNKNOWN", ["lines[0].sku"], {"sku": "tee"}),
    "hold": Bad(hold(("TEE", 1), ("NONE", 1)), "NOT_FOUND", "SKU_UNKNOWN", ["lines[1].sku"], {"sku": "NONE"}),
    "adjustment": Bad(adjust(sku="NONE"), "NOT_FOUND", "SKU_UNKNOWN", ["sku"], {"sku": "NONE"}),
    "policy": Bad(inventory.SetStockPolicyRequest(sku="NONE"), "NOT_FOUND", "SKU_UNKNOWN", ["sku"]),
    "empty": invalid(order(line("")), "lines[0].sku"),
    "too long": invalid(hold(("X" * 65, 1)), "lines[0].sku"),
    "of a draft": Bad(order(line("DRAFT")), "FAILED_PRECONDITION", "PRODUCT_NOT_PUBLISHED", ["lines[0].sku"]),
    "taken": Bad(
        catalog.CreateProductRequest(
            product=catalog.Product(title="Tee", variants=[catalog.Variant(sku="TEE", price=money("1.00"))])
        ),
        "ALREADY_EXISTS",
        "SKU_TAKEN",
        ["product.variants[0].sku"],
        {"sku": "TEE"},
    ),
}

QUANTITIES = {
    "order of zero": invalid(order(line(), line("MUG", 0)), "lines[1].quantity"),
    "order of less": invalid(order(line(quantity=-1)), "lines[0].quantity"),
    "order beyond the limit": invalid(order(line(quantity=10**9 + 1)), "lines[0].quantity"),
    "order of the largest number": invalid(order(line(quantity=2**63 - 1)), "lines[0].quantity"),
    "hold of zero": invalid(hold(("TEE", 0)), "lines[0].quantity"),
    "hold of less": invalid(hold(("TEE", -(2**63))), "lines[0].quantity"),
    "adjustment by zero": invalid(adjust(delta=0), "delta"),
    "adjustment beyond the limit": invalid(adjust(delta=-(10**9) - 1), "delta"),
    "count of less than none": invalid(adjust(on_hand=-1), "on_hand"),
    "expecting less than none": invalid(adjust(expected_on_hand=-1), "expected_on_hand"),
    "policy": invalid(
        inventory.SetStockPolicyRequest(sku="TEE", safety_stock=-1, reorder_point=-1), "safety_stock", "reorder_point"
    ),
    "parcel of zero": invalid(
        lambda known: orders.FulfillOrderRequest(
            order_id=known.orders["PROCESSING"], lines=[orders.LineQuantity(line_number=1)]
        ),
        "lines[0].quantity",
    ),
    "parcel of line zero": invalid(
        lambda known: orders.FulfillOrderRequest(
            order_id=known.orders["PROCESSING"], lines=[orders.LineQuantity(quantity=1)]
        ),
        "lines[0].line_number",
    ),
    "return of less": invalid(
        lambda known: orders.ReturnOrderRequest(
            order_id=known.orders["FULFILLED"], lines=[orders.ReturnOrderRequest.Line(line_number=1, quantity=-1)]
        ),
        "lines[0].quantity",
    ),
    "counter that overflows": Bad(adjust(sku="FULL"), "OUT_OF_RANGE", "QUANTITY_OVERFLOW", [], {"sku": "FULL"}),
    "total that overflows": Bad(order(line("GEM", 10**9)), "OUT_OF_RANGE", "QUANTITY_OVERFLOW", ["lines"]),
    "duplicates are summed": Bad(
        order(line(quantity=4), line("MUG"), line(quantity=3)),
        "FAILED_PRECONDITION",
        "INSUFFICIENT_STOCK",
        [],
        {"sku": "TEE", "requested": "7"},
    ),
    "duplicates are summed to the last": Bad(
        order(*[line(quantity=10**9)] * 1000),
        "FAILED_PRECONDITION",
        "INSUFFICIENT_STOCK",
        [],
        {"requested": str(10**12)},
    ),
}

LINES = {
    "order": invalid(order(*[line()] * 1001), "lines"),
    "hold": invalid(hold(*[("TEE", 1)] * 1001), "lines"),
    "batch of adjustments": invalid(
        inventory.BatchAdjustStockRequest(requests=[inventory.AdjustStockRequest(sku="TEE", delta=1)] * 501), "requests"
    ),
    "batch of counts": invalid(inventory.BatchSetStockRequest(rows=[COUNT(sku="TEE", on_hand=1)] * 501), "rows"),
    "batch of products": invalid(
        catalog.BatchImportProductsRequest(requests=[catalog.ImportProductsRequest()] * 501), "requests"
    ),
    "batch of no counts": invalid(inventory.BatchSetStockRequest(), "rows"),
    "sync": invalid(sync(*[ROW(sku="TEE", delta=1)] * 1001), "rows"),
    "availability": invalid(inventory.BatchGetAvailabilityRequest(skus=["TEE"] * 1001), "skus"),
    "parcel": invalid(orders.FulfillOrderRequest(order_id=UNKNOWN_ID, lines=[UNITS] * 1001), "lines"),
    "cancellation": invalid(orders.CancelOrderRequest(order_id=UNKNOWN_ID, lines=[UNITS] * 1001), "lines"),
    "return": invalid(
        orders.ReturnOrderRequest(
            order_id=UNKNOWN_ID, lines=[orders.ReturnOrderRequest.Line(line_number=1, quantity=1)] * 1001
        ),
        "lines",
    ),
    "batch": invalid(orders.BatchCreateOrdersRequest(requests=[order(line())] * 201), "requests"),
    "charges": invalid(
        order(line(), charges=[orders.Charge(kind=orders.Charge.KIND_TAX, amount=money("1.00"))] * 51), "charges"
    ),
    "order of none": invalid(order(), "lines"),
    "hold of none": invalid(hold(), "lines"),
    "sync of none": invalid(sync(), "rows"),
}


def bad_money(request: Message | Callable[[Known], Message], path: str, currency: str = "") -> Bad:
    metadata = {"currency": currency} if currency else {}
    return Bad(request, "INVALID_ARGUMENT", "MONEY_INVALID", [path], metadata)


PRICE = "product.variants[0].price"
MONEY = {
    "half a yen": bad_money(product(money("1.5", "JPY")), PRICE, "JPY"),
    "a tenth of a cent": bad_money(product(money("19.999")), PRICE, "EUR"),
    "a tenth of a fils": bad_money(product(money("1.0001", "KWD")), PRICE, "KWD"),
    "no such currency": bad_money(product(money("1.00", "XYZ")), PRICE, "XYZ"),
    "currency in lower case": bad_money(product(money("1.00", "eur")), PRICE, "eur"),
    "no currency": bad_money(product(Money(units=1)), PRICE),
    "less than nothing": bad_money(product(Money(currency_code="EUR", units=-1)), PRICE, "EUR"),
    "units against nanos": bad_money(product(Money(currency_code="EUR", units=1, nanos=-10_000_000)), PRICE),
    "nanos of a unit": bad_money(product(Money(currency_code="EUR", nanos=10**9)), PRICE),
    "more than can be counted": bad_money(product(money("10000000000000.01")), PRICE, "EUR"),
    "the largest number": bad_money(product(Money(currency_code="EUR", units=2**63 - 1)), PRICE, "EUR"),
    "former price": bad_money(
        product(money("1.00"), compare_at_price=money("1.005")), "product.variants[0].compare_at_price"
    ),
    "cost": bad_money(product(money("1.00"), cost=money("1.005")), "product.variants[0].cost"),
    "shown price": bad_money(order(line(shown_unit_price=money("19.901"))), "lines[0].shown_unit_price", "EUR"),
    "override": bad_money(
        order(line(), line("MUG", unit_price_override=money("1.001"), price_override_reason="x")),
        "lines[1].unit_price_override",
    ),
    "charge": bad_money(
        order(line(), charges=[orders.Charge(kind=orders.Charge.KIND_TAX, amount=money("0.001"))]), "charges[0].amount"
    ),
    "payment": bad_money(payment(money("1.001")), "amount", "EUR"),
    "payment of less than nothing": bad_money(payment(Money(currency_code="EUR", units=-5)), "amount", "EUR"),
}


def mismatch(request: Message | Callable[[Known], Message], path: str, expected: str, actual: str) -> Bad:
    metadata = {"expected": expected, "actual": actual, "field": path}
    return Bad(request, "FAILED_PRECONDITION", "CURRENCY_MISMATCH", [path], metadata)


CURRENCIES = {
    "two in one order": mismatch(order(line(), line("CAP")), "lines[1].sku", "EUR", "USD"),
    "shown price": mismatch(
        order(line(), line("MUG", shown_unit_price=money("19.90", "USD"))), "lines[1].shown_unit_price", "EUR", "USD"
    ),
    "override": mismatch(
        order(line(unit_price_override=money("1.00", "GBP"), price_override_reason="x")),
        "lines[0].unit_price_override",
        "EUR",
        "GBP",
    ),
    "charge": mismatch(
        order(line("CAP"), charges=[orders.Charge(kind=orders.Charge.KIND_TAX, amount=money("1.00"))]),
        "charges[0].amount",
        "USD",
        "EUR",
    ),
    "payment": mismatch(payment(money("19.90", "USD")), "amount", "EUR", "USD"),
}


MASKS = {
    "policy": invalid(
        inventory.SetStockPolicyRequest(sku="TEE", update_mask=FieldMask(paths=["safety_stock", "on_hand"])),
        "update_mask",
    ),
    "location": invalid(
        inventory.UpdateLocationRequest(
            location=inventory.Location(location_id="main"), update_mask=FieldMask(paths=["location_id"])
        ),
        "update_mask",
    ),
    "product": invalid(
        lambda known: catalog.UpdateProductRequest(
            product=catalog.Product(product_id=known.products["DRAFT"]), update_mask=FieldMask(paths=["price"])
        ),
        "update_mask",
    ),
    "star among others": invalid(
        inventory.SetStockPolicyRequest(sku="TEE", update_mask=FieldMask(paths=["*", "safety_stock"])), "update_mask"
    ),
}

MISSING = {
    "CreateProduct": invalid(catalog.CreateProductRequest(), "product"),
    "title": invalid(catalog.CreateProductRequest(product=catalog.Product()), "product.title"),
    "price": invalid(product(None), PRICE),
    "PublishProduct": invalid(catalog.PublishProductRequest(), "product_id"),
    "variants": Bad(
        lambda known: catalog.PublishProductRequest(product_id=known.products["EMPTY"]),
        "FAILED_PRECONDITION",
        "PRODUCT_NOT_READY",
        [],
        {"issues": "NO_VARIANTS"},
    ),
    "AdjustStock": invalid(inventory.AdjustStockRequest(), "sku", "reason", "change"),
    "GetAvailability": invalid(inventory.GetAvailabilityRequest(), "sku"),
    "CreateLocation": invalid(inventory.CreateLocationRequest(), "location"),
    "location_id": invalid(inventory.CreateLocationRequest(location=inventory.Location()), "location.location_id"),
    "RecordPayment": invalid(
        orders.RecordPaymentRequest(), "order_id", "provider", "provider_event_id", "kind", "amount"
    ),
    "ReturnOrder": invalid(orders.ReturnOrderRequest(order_id=UNKNOWN_ID), "lines"),
    "UpdateOrder": invalid(orders.UpdateOrderRequest(), "order_id"),
    "details": invalid(orders.UpdateOrderRequest(order_id=UNKNOWN_ID), "update_mask"),
    "EditOrderLines": invalid(orders.EditOrderLinesRequest(order_id=UNKNOWN_ID), "changes"),
    "UpdateFulfillment": invalid(orders.UpdateFulfillmentRequest(), "order_id", "fulfillment_id"),
    "change of a parcel": invalid(
        orders.UpdateFulfillmentRequest(order_id=UNKNOWN_ID, fulfillment_id=UNKNOWN_ID), "update_mask"
    ),
    "state of a parcel": invalid(
        orders.UpdateFulfillmentRequest(
            order_id=UNKNOWN_ID, fulfillment_id=UNKNOWN_ID, state=orders.Fulfillment.STATE_CANCELLED
        ),
        "state",
    ),
    "parcel of nothing": Bad(
        lambda known: orders.CancelFulfillmentRequest(order_id=known.orders["FULFILLED"], fulfillment_id=UNKNOWN_ID),
        "NOT_FOUND",
        "FULFILLMENT_NOT_FOUND",
        ["fulfillment_id"],
    ),
    "AnnounceReturn": invalid(orders.AnnounceReturnRequest(order_id=UNKNOWN_ID), "lines"),
    "label of a return": invalid(
        orders.AnnounceReturnRequest(
            order_id=UNKNOWN_ID,
            lines=[orders.LineQuantity(line_number=1, quantity=1)],
            label_url="http://labels.example",
        ),
        "label_url",
    ),
    "UpdateReturn": invalid(orders.UpdateReturnRequest(), "order_id", "return_id"),
    "change of a return": invalid(orders.UpdateReturnRequest(order_id=UNKNOWN_ID, return_id=UNKNOWN_ID), "update_mask"),
    "return of nothing": Bad(
        lambda known: orders.ReceiveReturnRequest(order_id=known.orders["FULFILLED"], return_id=UNKNOWN_ID),
        "NOT_FOUND",
        "RETURN_NOT_FOUND",
        ["return_id"],
    ),
    "return to nowhere": Bad(
        lambda known: orders.ReceiveReturnRequest(
            order_id=known.orders["FULFILLED"], return_id=UNKNOWN_ID, location_id="paris"
        ),
        "NOT_FOUND",
        "LOCATION_UNKNOWN",
        ["location_id"],
        {"location_id": "paris"},
    ),
    "AddOrderNote": invalid(orders.AddOrderNoteRequest(order_id=UNKNOWN_ID, note="  "), "note"),
    "ListOrderTimeline": invalid(orders.ListOrderTimelineRequest(), "order_id"),
    "timeline of nobody": Bad(orders.ListOrderTimelineRequest(order_id=UNKNOWN_ID), "NOT_FOUND", "ORDER_NOT_FOUND"),
    "payments of nobody": Bad(orders.ListPaymentsRequest(order_id=UNKNOWN_ID), "NOT_FOUND", "ORDER_NOT_FOUND"),
    "HoldOrder": invalid(orders.HoldOrderRequest(), "order_id", "reason"),
    "end of a hold": invalid(
        lambda known: orders.HoldOrderRequest(
            order_id=known.orders["PENDING"], reason=orders.Hold.REASON_FRAUD, expire_time=Timestamp(seconds=1)
        ),
        "expire_time",
    ),
    "charge": invalid(order(line(), charges=[orders.Charge()]), "charges[0].kind", "charges[0].amount"),
    "reason of an override": invalid(order(line(unit_price_override=money("1.00"))), "lines[0].price_override_reason"),
}

OUT_OF_RANGE = {
    "country": invalid(
        order(line(), customer=orders.Customer(shipping_address=orders.Address(country_code="gb"))),
        "customer.shipping_address.country_code",
    ),
    "address lines": invalid(
        order(line(), customer=orders.Customer(billing_address=orders.Address(lines=["x"] * 6))),
        "customer.billing_address.lines",
    ),
    "e-mail": invalid(order(line(), customer=orders.Customer(email="x" * 321)), "customer.email"),
    "reference": invalid(order(line(), reference="x" * 201), "reference"),
    "payment terms": invalid(order(line(), payment_terms=9), "payment_terms"),
    "reason": invalid(adjust(reason=99), "reason"),
    "ttl of nothing": invalid(hold(("TEE", 1), ttl=Duration()), "ttl"),
    "ttl of a thousand years": invalid(hold(("TEE", 1), ttl=Duration(seconds=10**11)), "ttl"),
    "location_id": invalid(
        inventory.CreateLocationRequest(location=inventory.Location(location_id="a b")), "location.location_id"
    ),
    "moment before the years": invalid(
        inventory.ListStockMovementsRequest(start_time=Timestamp(seconds=-(10**12))), "start_time"
    ),
    "moment after the years": invalid(
        inventory.ListStockMovementsRequest(end_time=Timestamp(seconds=10**12)), "end_time"
    ),
    "order state": invalid(orders.ListOrdersRequest(states=[orders.Order.STATE_UNSPECIFIED]), "states[0]"),
    "many at once": invalid(
        order(line("", 0), line("TEE", -1), reference="x" * 201),
        "lines[0].sku",
        "lines[0].quantity",
        "lines[1].quantity",
        "reference",
    ),
}

CHARGES = {
    "nothing": invalid(orders.AddChargeRequest(), "order_id", "charge", "reason"),
    "of nobody": Bad(charge(UNKNOWN_ID), "NOT_FOUND", "ORDER_NOT_FOUND"),
    "without a reason": invalid(charge(UNKNOWN_ID, reason=""), "reason"),
    "of a kind that there is not": invalid(charge(UNKNOWN_ID, kind=9), "charge.kind"),
    "of less than nothing": bad_money(
        charge(UNKNOWN_ID, amount=Money(currency_code="EUR", units=-1)), "charge.amount", "EUR"
    ),
    "of another currency": mismatch(
        lambda known: charge(known.orders["PENDING"], amount=money("1", "USD")), "charge.amount", "EUR", "USD"
    ),
    "of a line that is not there": Bad(
        lambda known: charge(known.orders["PENDING"], kind=TAX, line_numbers=[1, 7]),
        "INVALID_ARGUMENT",
        "LINE_UNKNOWN",
        ["charge.line_numbers[1]"],
        {"line_number": "7"},
    ),
    "of line zero": invalid(charge(UNKNOWN_ID, kind=TAX, line_numbers=[0]), "charge.line_numbers[0]"),
    "of a line that it does not belong to": invalid(charge(UNKNOWN_ID, line_numbers=[1]), "charge.line_numbers"),
    "that takes off more than is left": Bad(
        lambda known: charge(known.orders["PENDING"], kind=orders.Charge.KIND_CREDIT, amount=money("9999")),
        "FAILED_PRECONDITION",
        "CHARGE_EXCEEDED",
        ["charge.amount"],
        {"amount": "EUR 9999.00"},
    ),
    "that takes off more than a line": Bad(
        lambda known: charge(
            known.orders["PENDING"], kind=orders.Charge.KIND_DISCOUNT, amount=money("9999"), line_numbers=[1]
        ),
        "FAILED_PRECONDITION",
        "CHARGE_EXCEEDED",
        ["charge.amount"],
    ),
    "of a new order's line that is not there": Bad(
        order(line(), charges=[orders.Charge(kind=TAX, amount=money("1"), line_numbers=[2])]),
        "INVALID_ARGUMENT",
        "LINE_UNKNOWN",
        ["charges[0].line_numbers[0]"],
    ),
    "that takes off more than a new order's line": Bad(
        order(
            line(),
            charges=[orders.Charge(kind=orders.Charge.KIND_DISCOUNT, amount=money("9999"), line_numbers=[1])],
        ),
        "FAILED_PRECONDITION",
        "CHARGE_EXCEEDED",
        ["charges[0].amount"],
    ),
}

CASES = cases(
    charge=CHARGES,
    sku=SKUS,
    quantity=QUANTITIES,
    lines=LINES,
    money=MONEY,
    currency=CURRENCIES,
    mask=MASKS,
    missing=MISSING,
    range=OUT_OF_RANGE,
)


@pytest.mark.parametrize("name", CASES)
async def test_it_is_refused_with_a_reason_and_without_effect(known: Known, name: str) -> None:
    await assert_refused(known, CASES[name])


@pytest.mark.parametrize("amount", ["0", "0.01", "10000000000000"])
async def test_what_a_price_may_be(known: Known, amount: str) -> None:
    """The limits are where they are said to be: one step inside them is a price."""
    request = product(money(amount))
    request.product.variants[0].sku = f"AT-{amount}"
    made = await known.shop.pms.catalog.CreateProduct(request)
    assert made.variants[0].price == money(amount)
