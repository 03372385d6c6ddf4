"""Ids, page tokens, sizes and characters: what holds for every method alike."""

from __future__ import annotations

from functools import partial
from typing import Any

import grpc
import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.type.money_pb2 import Money
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.wire.validation.sizes import max_bytes
from tests.known_shop import METHODS, UNKNOWN_ID, Known, adjust, hold, line, order, product, refusal_of, send, sync
from tests.shop import KEYS, money, open_channel, refused
from tests.snapshot import nothing_written

MIB = 1024 * 1024

# UUIDs


IDS = [
    (method, field.name)
    for method in METHODS
    for field in method.input_type.fields
    if field.GetOptions().Extensions[validate_pb2.field].string.uuid
]


def test_every_id_is_tried() -> None:
    named = {(m.name, f.name) for m in METHODS for f in m.input_type.fields if f.name.endswith("_id")}
    free = {"location_id", "customer_id", "provider_event_id", "aggregate_id", "endpoint_id"}
    rows = {("ImportProducts", "request_id")}  # a row that breaks a rule is refused in its result
    assert {(method.name, name) for method, name in IDS} == {each for each in named if each[1] not in free} - rows


@pytest.mark.parametrize("value", ["nonsense", "0190aaaa00007000800000000000", f"{{{UNKNOWN_ID}}}", f" {UNKNOWN_ID}"])
async def test_ids_are_uuids(known: Known, value: str) -> None:
    async with nothing_written(known.shop.pool):
        for method, name in IDS:
            request = GetMessageClass(method.input_type)(**{name: value})
            refusal = await refused(send(known.shop, request))
            assert refusal.reason == "FIELD_INVALID"
            assert name in refusal.fields, method.name


async def test_ids_may_be_in_upper_case(known: Known) -> None:
    order_id, hold_id = known.orders["FULFILLED"], known.holds["RELEASED"]
    found: Any = await send(known.shop, orders.GetOrderRequest(order_id=order_id.upper()))
    assert found.order_id == order_id
    found = await send(known.shop, inventory.GetReservationRequest(reservation_id=hold_id.upper()))
    assert found.reservation_id == hold_id


# Pages

LISTS = [method for method in METHODS if "page_token" in method.input_type.fields_by_name]


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.name)
async def test_a_page_token_is_one_that_the_method_made_for_these_arguments(
    known: Known, method: MethodDescriptor
) -> None:
    build: Any = partial(GetMessageClass(method.input_type), **known.named(method))
    answer: Any = await send(known.shop, build(page_size=1))
    token = answer.next_page_token
    tampered = ("A" if token[:1] != "A" else "B") + token[1:]
    async with nothing_written(known.shop.pool):
        for wrong in ("nonsense", "☃", "=", "AAAA", tampered, token[:-2] or "x"):
            refusal = await refused(send(known.shop, build(page_size=1, page_token=wrong)))
            assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), wrong
            assert refusal.fields == ["page_token"]
        for size in (-1, 1001):
            assert (await refused(send(known.shop, build(page_size=size)))).fields == ["page_size"]
        assert (await refused(send(known.shop, build(page_token="A" * 4097)))).fields == ["page_token"]


async def test_a_page_token_of_another_method_or_of_other_arguments(known: Known) -> None:
    page: Any = await send(known.shop, orders.ListOrdersRequest(page_size=1))
    token = page.next_page_token
    page = await send(known.shop, orders.ListOrdersRequest(page_size=2, page_token=token))
    assert len(page.orders) == 2, "the size of a page may change on the way"
    for foreign in (
        orders.ListPendingOrdersRequest(page_token=token),
        orders.ListOrdersRequest(page_token=token, customer_id="ada"),
        orders.ListOrdersRequest(page_token=token, states=[orders.Order.STATE_PENDING]),
        inventory.ListReservationsRequest(page_token=token),
    ):
        assert (await refusal_of(known.shop, foreign)).reason == "PAGE_TOKEN_INVALID"


# Size


DESCRIBED = catalog.Product(title="x", description="x" * (5 * MIB))


@pytest.mark.parametrize(
    ("request_", "limit"),
    [
        (catalog.CreateProductRequest(product=DESCRIBED), 4 * MIB),
        (order(line(), reference="x" * (5 * MIB)), max_bytes(orders.CreateOrderRequest.DESCRIPTOR)),
        (
            sync(inventory.SyncStockRequest.Row(sku="x" * MIB, delta=1)),
            max_bytes(inventory.SyncStockRequest.DESCRIPTOR),
        ),
    ],
    ids=["unary", "by its method", "stream"],
)
async def test_a_message_that_is_too_large_is_told_so(known: Known, request_: Message, limit: int) -> None:
    assert limit <= 4 * MIB
    refusal = await refusal_of(known.shop, request_)
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
    assert refusal.metadata == {"limit_bytes": str(limit)}


async def test_a_message_that_is_far_too_large_is_not_even_read(known: Known) -> None:
    async with nothing_written(known.shop.pool):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await send(known.shop, order(line(), reference="x" * (9 * MIB)))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_message_within_the_limit_is_read(known: Known) -> None:
    """A million characters break another rule, so the size was not the trouble."""
    product = catalog.Product(title="x", description="x" * (4 * MIB - 100))
    refusal = await refusal_of(known.shop, catalog.CreateProductRequest(product=product))
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["product.description"])


LONG = {
    "a thousand fields at fault": (order(*[line("", 0)] * 1000), "FIELD_INVALID"),
    "a currency": (product(Money(currency_code="€" * 100_000)), "MONEY_INVALID"),
    "a mask": (
        inventory.SetStockPolicyRequest(sku="TEE", update_mask=FieldMask(paths=["x" * 100_000])),
        "FIELD_INVALID",
    ),
    "a key": (
        catalog.CreateProductRequest(product=catalog.Product(title="x", attributes={"k" * 100_000: "v"})),
        "FIELD_INVALID",
    ),
    "a page token": (orders.ListOrdersRequest(page_token="x" * 4000), "PAGE_TOKEN_INVALID"),
    "a thousand lines that are short": (
        hold(*[(sku, 10**9) for sku in ("TEE", "MUG", "CAP", "GEM")]),
        "INSUFFICIENT_STOCK",
    ),
}


@pytest.mark.parametrize("name", LONG)
async def test_a_refusal_fits_into_trailers_whatever_was_sent(known: Known, name: str) -> None:
    """gRPC clients take 8 KiB of metadata with an answer; a longer one would hide what is wrong."""
    request, reason = LONG[name]
    refusal = await refusal_of(known.shop, request)
    assert refusal.reason == reason
    assert refusal.status.ByteSize() < 5000


# Text that the database cannot hold

NUL = {
    "order": order(line(), reference="a\0b"),
    "customer": order(line(), customer=orders.Customer(name="a\0b")),
    "address": order(line(), customer=orders.Customer(shipping_address=orders.Address(city="a\0b"))),
    "charge": order(
        line(), charges=[orders.Charge(kind=orders.Charge.KIND_TAX, amount=money("1.00"), description="a\0b")]
    ),
    "sku": order(line("a\0b")),
    "hold": hold(("TEE", 1), customer_id="a\0b"),
    "note": adjust(note="a\0b"),
    "location": inventory.UpdateLocationRequest(location=inventory.Location(location_id="main", name="a\0b")),
    "filter": orders.ListOrdersRequest(customer_id="a\0b"),
    "availability": inventory.GetAvailabilityRequest(sku="a\0b"),
    "product": catalog.CreateProductRequest(product=catalog.Product(title="a\0b")),
}


@pytest.mark.parametrize("name", NUL)
async def test_text_with_nul_is_refused(known: Known, name: str) -> None:
    refusal = await refusal_of(known.shop, NUL[name])
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert "NUL" in refusal.message or "U+0000" in refusal.message


async def test_a_bad_neighbour_in_a_batch_does_no_harm(known: Known) -> None:
    bad = order(line("CAP"), reference="a\0b")
    batch = orders.BatchCreateOrdersRequest(requests=[order(line("CAP")), bad, order(line("CAP")), order(line("NONE"))])
    answer: Any = await send(known.shop, batch)
    assert [result.WhichOneof("outcome") for result in answer.results] == ["order", "error", "order", "error"]
    assert [result.error.code for result in answer.results] == [0, 3, 0, 5]
    assert (await known.shop.counters("CAP"))[2] == 2


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_bytes_that_are_no_message(known: Known, method: MethodDescriptor) -> None:
    """A field that says it is longer than what is there; methods that take raw bytes have messages, too."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    async with open_channel(known.shop.address) as channel, nothing_written(known.shop.pool):
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        sent: Any = b"\x0a\xff"
        if method.client_streaming:
            sent = iter([sent])
        call: Any = getattr(channel, kind)(path)(
            sent, metadata=(("authorization", f"Bearer {KEYS['admin']}"),), timeout=10
        )
        refusal = await refused(anext(aiter(call)) if method.server_streaming else call)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refusal.message == "the bytes are not a message of this method's type"
