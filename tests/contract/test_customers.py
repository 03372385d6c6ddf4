"""A token that speaks for one customer: what is theirs, what is not, and that the two cannot be distinguished from
nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stockward.event.v1 import event_pb2 as events
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_dev import Nats
from tests.contract.test_access import allowed_by_contract
from tests.issuer import Issuer
from tests.known_shop import METHODS, UNKNOWN_ID, hold, line, order, send
from tests.shop import Callers, Refused, Shop, callers, money, refused, running_shop
from tests.snapshot import nothing_written

FOR_EVERYBODY = {
    *("ListAvailableProducts", "GetAvailableProduct", "GetAvailability", "BatchGetAvailability", "WatchAvailability"),
    "WhoAmI",
}
MAKES_THEIR_OWN = {"ReserveStock", "CreateOrder", "BatchCreateOrders"}
NAMES_THEIR_OWN = {
    "ExtendReservation",
    "ReleaseReservation",
    "GetReservation",
    "GetOrder",
    "CancelOrder",
    "ListOrderTimeline",
    "AnnounceReturn",
    "WithdrawReturn",
}
LISTS_THEIR_OWN = {"ListOrders"}
NOT_FOR_CUSTOMERS = {"ListEvents"}

OPEN_TO_STOREFRONTS = [method for method in METHODS if "storefront" in allowed_by_contract(method)]


class Customers:
    """The shop, and two who speak for one customer each."""

    def __init__(self, shop: Shop, issuer: Issuer, stack: AsyncExitStack) -> None:
        self.shop = shop
        self.issuer = issuer
        self._stack = stack
        self.ada, self.bob = self.speaking_for("ada"), self.speaking_for("bob")

    def speaking_for(self, customer_id: str) -> Callers:
        """The stubs of somebody else's token."""
        token = self.issuer.token("key", role="storefront", sub=customer_id, customer_id=customer_id)
        stubs = callers(self.shop.address, token)
        self._stack.push_async_callback(stubs.channel.close)
        return stubs


@pytest.fixture(scope="module")
async def customers(
    module_database_url: str, nats: Nats, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Customers]:
    settings = issuer.settings(tmp_path_factory.mktemp("issuer"), module_database_url, nats.url)
    async with running_shop(settings) as shop, AsyncExitStack() as stack:
        await shop.sell("TEE", 1000)
        yield Customers(shop, issuer, stack)


def test_it_is_decided_for_every_method_what_customers_may() -> None:
    decided = FOR_EVERYBODY | MAKES_THEIR_OWN | NAMES_THEIR_OWN | LISTS_THEIR_OWN | NOT_FOR_CUSTOMERS
    assert {method.name for method in OPEN_TO_STOREFRONTS} == decided


async def test_what_customers_make_is_theirs(customers: Customers) -> None:
    ada, staff = customers.ada, customers.shop.pms
    made = await ada.orders.CreateOrder(order(line()))
    assert made.customer.customer_id == "ada"
    assert (await ada.orders.GetOrder(orders.GetOrderRequest(order_id=made.order_id))).customer.customer_id == "ada"
    assert (await staff.orders.GetOrder(orders.GetOrderRequest(order_id=made.order_id))).customer.customer_id == "ada"
    named = await ada.orders.CreateOrder(order(line(), customer=orders.Customer(customer_id="ada", email="a@b.c")))
    assert (named.customer.customer_id, named.customer.email) == ("ada", "a@b.c")
    batch = await ada.orders.BatchCreateOrders(orders.BatchCreateOrdersRequest(requests=[order(line())]))
    assert batch.results[0].order.customer.customer_id == "ada"

    held = await ada.inventory.ReserveStock(hold(("TEE", 1)))
    assert held.customer_id == "ada"
    read = inventory.GetReservationRequest(reservation_id=held.reservation_id)
    assert (await ada.inventory.GetReservation(read)).customer_id == "ada"
    await ada.inventory.ExtendReservation(inventory.ExtendReservationRequest(reservation_id=held.reservation_id))
    bought = await ada.orders.CreateOrder(orders.CreateOrderRequest(reservation_id=held.reservation_id))
    assert bought.customer.customer_id == "ada"
    cancelled = await ada.orders.CancelOrder(orders.CancelOrderRequest(order_id=bought.order_id))
    assert cancelled.state == orders.Order.STATE_CANCELLED
    held = await ada.inventory.ReserveStock(hold(("TEE", 1), customer_id="ada"))
    await ada.inventory.ReleaseReservation(inventory.ReleaseReservationRequest(reservation_id=held.reservation_id))


async def test_another_customer_may_not_be_named(customers: Customers) -> None:
    bob = orders.Customer(customer_id="bob")
    async with nothing_written(customers.shop.pool):
        told = [
            await refused(customers.ada.orders.CreateOrder(order(line(), customer=bob))),
            await refused(customers.ada.inventory.ReserveStock(hold(("TEE", 1), customer_id="bob"))),
        ]
        request = orders.BatchCreateOrdersRequest(requests=[order(line(), customer=bob)])
        batch = await customers.ada.orders.BatchCreateOrders(request)
    assert [(refusal.code.name, refusal.reason) for refusal in told] == [
        ("PERMISSION_DENIED", "CUSTOMER_NOT_ALLOWED")
    ] * 2
    assert [refusal.fields for refusal in told] == [["customer.customer_id"], ["customer_id"]]
    assert batch.results[0].error.code == told[0].status.code


def ids_in(message: Descriptor) -> set[str]:
    return {field.name for field in message.fields if field.name in ("order_id", "reservation_id")}


def test_every_method_that_names_an_order_or_a_reservation_is_tried() -> None:
    assert {m.name for m in OPEN_TO_STOREFRONTS if ids_in(m.input_type)} == NAMES_THEIR_OWN | {"CreateOrder"}


NEEDED: dict[str, dict[str, Any]] = {
    "AnnounceReturn": {"lines": [orders.LineQuantity(line_number=1, quantity=1)]},
    "WithdrawReturn": {"return_id": UNKNOWN_ID.replace("aaaa", "bbbb")},
}
"""What these methods want beside the id of an order."""


def without_id(refusal: Refused, name: str) -> Any:
    return json.loads(json.dumps([str(refusal.code), refusal.message, str(refusal.status)]).replace(name, "ID"))


@pytest.mark.parametrize("method", [m for m in OPEN_TO_STOREFRONTS if ids_in(m.input_type)], ids=lambda m: m.name)
@pytest.mark.parametrize("owner", ["bob", "the shop", "a guest"])
async def test_what_belongs_to_others_is_as_if_it_were_not(
    customers: Customers, method: MethodDescriptor, owner: str
) -> None:
    by = customers.bob if owner == "bob" else customers.shop.storefront
    customer_id = "carol" if owner == "the shop" else ""
    theirs = {
        "order_id": (
            await by.orders.CreateOrder(order(line(), customer=orders.Customer(customer_id=customer_id)))
        ).order_id,
        "reservation_id": (await by.inventory.ReserveStock(hold(("TEE", 1), customer_id=customer_id))).reservation_id,
    }
    (field,) = ids_in(method.input_type)
    build = GetMessageClass(method.input_type)
    area = method.full_name.split(".")[1]
    call: Callable[[Message], Any] = getattr(getattr(customers.ada, "orders" if area == "order" else area), method.name)
    async with nothing_written(customers.shop.pool):
        named = (UNKNOWN_ID, theirs[field], theirs[field].upper())
        missing, hidden, upper = [
            await refused(call(build(**{field: each}, **NEEDED.get(method.name, {})))) for each in named
        ]
    assert missing.code.name == hidden.code.name == upper.code.name == "NOT_FOUND"
    assert without_id(hidden, theirs[field]) == without_id(missing, UNKNOWN_ID)


async def test_a_batch_is_no_way_to_somebody_else_s_hold(customers: Customers) -> None:
    held = await customers.bob.inventory.ReserveStock(hold(("TEE", 1)))
    async with nothing_written(customers.shop.pool):
        batch = orders.BatchCreateOrdersRequest()
        for reservation_id in (held.reservation_id, UNKNOWN_ID):
            batch.requests.add(reservation_id=reservation_id)
        theirs, missing = (await customers.ada.orders.BatchCreateOrders(batch)).results
    assert missing.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert str(theirs.error).replace(held.reservation_id, UNKNOWN_ID) == str(missing.error)


async def own_orders(caller: Callers, **fields: Any) -> list[str]:
    return [each.order_id for each in (await caller.orders.ListOrders(orders.ListOrdersRequest(**fields))).orders]


async def test_customers_list_their_own_orders(customers: Customers) -> None:
    shop = customers.shop
    eve, mallory = (customers.speaking_for(name) for name in ("eve", "mallory"))
    request = order(
        line(unit_price_override=money("1.00"), price_override_reason="a friend of the house"),
        customer=orders.Customer(customer_id="eve"),
    )
    by_staff: Any = await send(shop, request)
    hers = [by_staff.order_id, *[(await eve.orders.CreateOrder(order(line()))).order_id for _ in range(2)]]
    await customers.bob.orders.CreateOrder(order(line()))
    await shop.storefront.orders.CreateOrder(order(line()))
    await shop.storefront.orders.CreateOrder(order(line(), customer=orders.Customer(email="eve@loom.example")))
    assert await own_orders(eve) == await own_orders(eve, customer_id="eve") == hers[::-1]
    assert await own_orders(eve, states=[orders.Order.STATE_CANCELLED]) == []
    assert await own_orders(mallory) == []

    page = await eve.orders.ListOrders(orders.ListOrdersRequest(page_size=1))
    assert await own_orders(eve, page_token=page.next_page_token) == hers[1::-1]
    assert await own_orders(mallory, page_token=page.next_page_token) == [], "her place in a list is no way into it"
    whole = await eve.orders.ListOrders(orders.ListOrdersRequest())
    assert b"a friend of the house" not in whole.SerializeToString()


async def test_orders_are_listed_for_one_customer_and_no_other(customers: Customers) -> None:
    named = await refused(customers.ada.orders.ListOrders(orders.ListOrdersRequest(customer_id="bob")))
    assert (named.code.name, named.reason, named.fields) == (
        "PERMISSION_DENIED",
        "CUSTOMER_NOT_ALLOWED",
        ["customer_id"],
    )
    for customer_id in ("", "ada"):
        by_key = await refused(
            customers.shop.storefront.orders.ListOrders(orders.ListOrdersRequest(customer_id=customer_id))
        )
        assert (by_key.code.name, by_key.reason) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
        assert by_key.metadata == {"role": "storefront", "allowed": "viewer,pms,admin"}
        assert "without a customer's token" in by_key.message


async def test_events_are_not_for_customers(customers: Customers) -> None:
    refusal = await refused(customers.ada.events.ListEvents(events.ListEventsRequest()))
    assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "CUSTOMER_NOT_ALLOWED")
    assert (await customers.shop.storefront.events.ListEvents(events.ListEventsRequest(page_size=1))).events


async def test_one_subject_for_two_customers_is_told_nothing_of_the_other(customers: Customers) -> None:
    """A shop's backend may have one subject and a claim for each of its customers, and they may draw the same ids."""
    made: dict[str, list[orders.Order]] = {}
    request = order(line(), request_id="0190aaaa-0000-7000-8000-00000000c0de")
    for name in ("ada", "bob"):
        token = customers.issuer.token("key", role="storefront", sub="web", customer_id=name)
        stubs = callers(customers.shop.address, token)
        try:
            made[name] = [await stubs.orders.CreateOrder(request) for _ in range(2)]
        finally:
            await stubs.channel.close()
    for name, (first, again) in made.items():
        assert first.customer.customer_id == name
        assert again == first
    assert made["ada"][0].order_id != made["bob"][0].order_id


@pytest.mark.parametrize("claim", [None, "", "x" * 129, "a\0b", ["ada"], True, {}])
async def test_a_storefront_s_token_has_to_name_a_customer(customers: Customers, claim: Any) -> None:
    stubs = callers(customers.shop.address, customers.issuer.token("key", role="storefront", customer_id=claim))
    try:
        refusal = await refused(stubs.inventory.GetAvailability(inventory.GetAvailabilityRequest(sku="TEE")))
    finally:
        await stubs.channel.close()
    assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert refusal.metadata == {"scheme": "Bearer", "cause": "TOKEN_CLAIM_MISSING", "claim": "customer_id"}


async def test_staff_and_the_shop_s_own_key_act_for_everybody(customers: Customers) -> None:
    made = await customers.ada.orders.CreateOrder(order(line()))
    read = orders.GetOrderRequest(order_id=made.order_id)
    assert (await customers.shop.storefront.orders.GetOrder(read)).order_id == made.order_id
    stubs = callers(customers.shop.address, customers.issuer.token("key", role="pms", customer_id="bob"))
    try:
        assert (await stubs.orders.GetOrder(read)).order_id == made.order_id
    finally:
        await stubs.channel.close()


# What is between staff


async def test_a_storefront_is_not_told_why_staff_changed_a_price(customers: Customers) -> None:
    shop = customers.shop
    request = order(
        line(unit_price_override=money("1.00"), price_override_reason="a friend of the house"),
        customer=orders.Customer(customer_id="ada"),
    )
    made: Any = await send(shop, request)
    fee = orders.Charge(kind=orders.Charge.KIND_FEE, amount=money("1"))
    await send(shop, orders.AddChargeRequest(order_id=made.order_id, charge=fee, reason="no a friend of the house"))
    hold = orders.HoldOrderRequest(
        order_id=made.order_id, reason=orders.Hold.REASON_OTHER, note="a friend of the house"
    )
    await send(shop, hold)
    await send(shop, orders.UpdateOrderRequest(order_id=made.order_id, tags=["a friend of the house"]))
    read = orders.GetOrderRequest(order_id=made.order_id)
    assert (await shop.pms.orders.GetOrder(read)).lines[0].price_override_reason == "a friend of the house"
    listing = events.ListEventsRequest(aggregate_id=made.order_id)
    told: list[Message] = [
        await shop.storefront.orders.GetOrder(read),
        await customers.ada.orders.GetOrder(read),
        await shop.storefront.events.ListEvents(listing),
        await customers.ada.orders.ListOrderTimeline(orders.ListOrderTimelineRequest(order_id=made.order_id)),
        await customers.ada.orders.CancelOrder(orders.CancelOrderRequest(order_id=made.order_id)),
    ]
    for answer in told:
        assert b"a friend of the house" not in answer.SerializeToString()
        assert b"pms" not in answer.SerializeToString()
    assert {event.actor for event in (await shop.storefront.events.ListEvents(listing)).events} == {""}
    assert {event.actor for event in (await shop.pms.events.ListEvents(listing)).events} == {"pms", "customer"}
    assert b"a friend of the house" in (await shop.pms.events.ListEvents(listing)).SerializeToString()


def reached(message: Descriptor, seen: set[str]) -> set[str]:
    """Names of all fields that an answer of this type may have, with those of the messages in it."""
    if message.full_name in seen or not message.full_name.startswith("stockward."):
        return set()
    seen.add(message.full_name)
    names = {field.name for field in message.fields if field.full_name not in CLEARED}
    return names.union(*(reached(field.message_type, seen) for field in message.fields if field.message_type))


CLEARED = {
    *("stockward.order.v1.Charge.actor", "stockward.order.v1.Hold.actor", "stockward.order.v1.Hold.note"),
    *("stockward.order.v1.OrderTimelineEntry.actor", "stockward.order.v1.OrderTimelineEntry.note"),
    *("stockward.order.v1.OrderReturn.actor", "stockward.order.v1.OrderReturn.note"),
    "stockward.order.v1.Order.etag",
}
"""The first are cleared for storefronts, as the test above sees; the etag says no more than the version of an order."""

STAFF_FIELDS = {"cost", "note", "actor", "etag", "safety_stock", "reorder_point", "on_hand", "allocated"}


@pytest.mark.parametrize(
    "method",
    [m for m in OPEN_TO_STOREFRONTS if m.name != "ListEvents"],
    ids=lambda method: method.name,
)
def test_no_answer_to_a_storefront_has_a_place_for_what_is_staff_s(method: MethodDescriptor) -> None:
    """Events are the shop's own record."""
    assert not reached(method.output_type, set()) & STAFF_FIELDS
