"""Bad edits of orders: every refusal says what is wrong, names the field at fault, and leaves the order as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from stockward.order.v1 import order_pb2 as orders

from tests.contract.test_bad_input import mismatch
from tests.known_shop import Bad, Known, assert_refused, invalid, line
from tests.shop import money


def update(**fields: Any) -> Callable[[Known], Message]:
    return lambda known: orders.UpdateOrderRequest(order_id=known.orders["PENDING"], **fields)


def change(line_number: int, quantity: int) -> orders.EditOrderLinesRequest.Change:
    return orders.EditOrderLinesRequest.Change(line_number=line_number, quantity=quantity)


def edit(*changes: orders.EditOrderLinesRequest.Change, **fields: Any) -> Callable[[Known], Message]:
    return lambda known: orders.EditOrderLinesRequest(order_id=known.orders["PENDING"], changes=changes, **fields)


EDITS = {
    "a path of a mask that there is not": invalid(
        update(reference="A-1", update_mask=FieldMask(paths=["reference", "totals"])), "update_mask"
    ),
    "another customer": invalid(
        update(customer=orders.Customer(customer_id="eve", name="Eve")), "customer.customer_id"
    ),
    "a tag twice": invalid(update(tags=["vip", "vip"]), "tags"),
    "more text than an order has room for": invalid(update(attributes={f"k{n}": "x" * 500 for n in range(20)})),
    "a note for a line that is not there": Bad(
        update(line_gift_notes=[orders.UpdateOrderRequest.LineGiftNote(line_number=7, gift_note="x")]),
        "INVALID_ARGUMENT",
        "LINE_UNKNOWN",
        ["line_gift_notes[0].line_number"],
        {"line_number": "7"},
    ),
    "a line that is not there": Bad(
        edit(change(7, 1)), "INVALID_ARGUMENT", "LINE_UNKNOWN", ["changes[0].line_number"], {"line_number": "7"}
    ),
    "a line twice": invalid(edit(change(1, 2), change(1, 1)), "changes[1].line_number"),
    "less than no units": invalid(edit(change(1, -1)), "changes[0].quantity"),
    "all lines away": invalid(edit(change(1, 0), change(2, 0)), "changes"),
    "a SKU that the order has": invalid(edit(additions=[line("TEE")]), "additions[0].sku"),
    "a SKU that is not there": Bad(
        edit(additions=[line("NOPE")]), "NOT_FOUND", "SKU_UNKNOWN", ["additions[0].sku"], {"sku": "NOPE"}
    ),
    "a draft": Bad(
        edit(additions=[line("DRAFT")]), "FAILED_PRECONDITION", "PRODUCT_NOT_PUBLISHED", ["additions[0].sku"]
    ),
    "more than there is, beside what can be done": Bad(
        edit(change(1, 2), additions=[line("GEM")]), "FAILED_PRECONDITION", "INSUFFICIENT_STOCK", [], {"sku": "GEM"}
    ),
    "another currency": mismatch(edit(additions=[line("CAP")]), "additions[0].sku", "EUR", "USD"),
    "a price that is not the present one": Bad(
        edit(additions=[line("PDF", shown_unit_price=money("1"))]),
        "FAILED_PRECONDITION",
        "PRICE_CHANGED",
        ["additions[0].shown_unit_price"],
    ),
    "an override without a reason": invalid(
        edit(additions=[line("PDF", unit_price_override=money("1"))]), "additions[0].price_override_reason"
    ),
}


@pytest.mark.parametrize("name", EDITS)
async def test_a_bad_edit_is_refused(known: Known, name: str) -> None:
    await assert_refused(known, EDITS[name])
