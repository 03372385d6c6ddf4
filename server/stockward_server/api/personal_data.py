"""Messages without a customer: what is stored encoded, answers and events, is emptied of them here."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stockward.event.v1 import event_pb2
from stockward.order.v1 import order_pb2

from stockward_server.api.server import SERVICES

_ANSWERS = {
    f"/{service.full_name}/{method.name}": GetMessageClass(method.output_type)
    for service in SERVICES
    for method in service.methods
}


def answer_without(customer_id: str, method: str, answer: bytes) -> bytes | None:
    """The stored answer of a method without this customer; None where it does not speak of them."""
    kind = _ANSWERS.get(method)
    return _without(customer_id, kind.FromString(answer)) if kind else None


def event_without(customer_id: str, payload: bytes) -> bytes | None:
    """The same for the payload of an event."""
    return _without(customer_id, event_pb2.Event.FromString(payload))


def _without(customer_id: str, message: Message) -> bytes | None:
    return message.SerializeToString() if _forget(customer_id, message) else None


def _forget(customer_id: str, message: Message) -> bool:
    """Whether anything was taken out: the id wherever it stands, and with it the whole Customer that it names, and
    what was written for or by the customer: gift notes, and texts of returns."""
    found = False
    for field, value in message.ListFields():
        if (field.name == "customer_id" and value == customer_id) or (
            field.message_type is order_pb2.Customer.DESCRIPTOR and value.customer_id == customer_id
        ):
            message.ClearField(field.name)
            found = True
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                found |= _forget(customer_id, each)
    if found and isinstance(message, order_pb2.Order):
        for noted in (message, *message.lines):
            noted.ClearField("gift_note")
        for each in message.returns:
            for name in ("reason", "note", "label_url"):
                each.ClearField(name)
    if found and isinstance(message, order_pb2.OrderSnapshot) and message.HasField("order_return"):
        message.ClearField("reason")
        message.order_return.ClearField("reason")
    return found
