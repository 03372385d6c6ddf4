"""Requests of the order desk as the domain takes them."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb

from stockward_server.api.orders.messages import CONTACT, contact_of, priced_lines
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.order_edits import LineChange, OrderDetails
from stockward_server.domain.pricing import WantedLine

DETAILS = ("reference", "tags", "attributes", "gift_note", "line_gift_notes")
EDITABLE = (*(f"customer.{name}" for name in CONTACT), *DETAILS)
"""What a mask of UpdateOrder can name; `customer` stands for all that begins with it."""


def order_details(message: pb.UpdateOrderRequest) -> OrderDetails:
    """What the request updates; FieldInvalid when the mask names anything else, or nothing is updated."""
    paths = _masked(message)
    names = [path.removeprefix("customer.") for path in EDITABLE if path in paths and path not in DETAILS]
    return OrderDetails(
        contact=contact_of(message.customer, names),
        reference=message.reference if "reference" in paths else None,
        tags=tuple(message.tags) if "tags" in paths else None,
        attributes=tuple(sorted(message.attributes.items())) if "attributes" in paths else None,
        gift_note=message.gift_note if "gift_note" in paths else None,
        line_gift_notes={each.line_number: each.gift_note for each in message.line_gift_notes}
        if "line_gift_notes" in paths
        else None,
        customer_id=message.customer.customer_id,
    )


def _masked(message: pb.UpdateOrderRequest) -> set[str]:
    paths = set(message.update_mask.paths)
    if not paths:
        paths = {field.name for field, _ in message.ListFields()} & set(DETAILS)
        paths |= {f"customer.{field.name}" for field, _ in message.customer.ListFields() if field.name in CONTACT}
    elif paths == {"*"}:
        paths = set(EDITABLE)
    elif "customer" in paths:
        paths = (paths - {"customer"}) | {f"customer.{name}" for name in CONTACT}
    for path in sorted(paths - set(EDITABLE)):
        raise FieldInvalid("update_mask", f"{path!r} is none of {', '.join(('customer', *EDITABLE))}")
    if not paths:
        raise FieldInvalid("update_mask", "nothing is to be updated")
    return paths


def line_edits(message: pb.EditOrderLinesRequest) -> tuple[list[LineChange], list[WantedLine]]:
    """The lines to change and those to add; FieldInvalid when there is nothing to edit."""
    if not (message.changes or message.additions or message.current_prices):
        raise FieldInvalid("changes", "nothing is to be edited: name lines to change or to add")
    changes = [
        LineChange(each.line_number, each.quantity, f"changes[{index}]") for index, each in enumerate(message.changes)
    ]
    return changes, priced_lines(message.additions, "additions")
