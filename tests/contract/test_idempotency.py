"""request_id (AIP-155): every mutation happens once and answers the same however often it is sent."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.api.server import SERVICES
from tests.mutations import MUTATIONS, as_repeated, create_order, in_batch
from tests.shop import Shop, refused
from tests.snapshot import nothing_written, snapshot


def has_request_id(message: Descriptor) -> bool:
    return "request_id" in message.fields_by_name or any(
        field.message_type and "request_id" in field.message_type.fields_by_name for field in message.fields
    )


OF_KEYS = {"CreateKey", "RotateKey", "RevokeKey", "CreateSession", "EndSession"}
"""Their answers have a part that is shown once; they are tried in integration/test_keys.py and test_sessions.py."""


def test_every_method_with_a_request_id_is_here() -> None:
    methods = [method for service in SERVICES for method in service.methods]
    assert {method.name for method in methods if has_request_id(method.input_type)} == MUTATIONS.keys() | OF_KEYS


IDS = "order|product|reservation|key|endpoint|event|request"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def assert_reused(answer: Message, request_id: str) -> None:
    """A Status that says that the id was used for something else."""
    assert isinstance(answer, status_pb2.Status)
    info = error_details_pb2.ErrorInfo()
    assert answer.details[0].Unpack(info)
    assert (answer.code, info.domain, info.reason) == (code_pb2.ALREADY_EXISTS, "stockward", "REQUEST_ID_REUSED")
    assert (info.metadata["field"], info.metadata["request_id"]) == ("request_id", request_id)


def in_capitals(message: Message) -> Message:
    """The same message with its UUIDs in capitals: they are the same ids."""
    text = text_format.MessageToString(message, as_utf8=True)
    text = re.sub(
        rf'\b({IDS})_id: "{UUID}"', lambda found: found[1] + "_id: " + found[0].partition(": ")[2].upper(), text
    )
    return text_format.Parse(text, type(message)())


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_mutation_happens_once(shop: Shop, name: str) -> None:
    mutation, request_id = MUTATIONS[name], str(uuid.uuid4())
    request, other = await mutation.arrange(shop)
    for each in (request, other):
        each.request_id = request_id  # type: ignore[attr-defined]
    before = await snapshot(shop.pool)

    first = await mutation.send(shop.pms, request)
    assert not isinstance(first, status_pb2.Status), first
    assert await snapshot(shop.pool) != before

    async with nothing_written(shop.pool):
        assert await mutation.send(shop.pms, request) == as_repeated(first)
        assert_reused(await mutation.send(shop.pms, other), request_id)
        assert await mutation.send(shop.pms, in_capitals(request)) == as_repeated(first)
        assert_reused(await mutation.send(shop.pms, in_capitals(other)), request_id)

    apart = await mutation.send(shop.admin, other)  # another caller's request_ids are its own
    assert not isinstance(apart, status_pb2.Status), apart
    assert apart != first
    async with nothing_written(shop.pool):
        assert await mutation.send(shop.admin, other) == as_repeated(apart)
        assert await mutation.send(shop.pms, request) == as_repeated(first)


async def test_a_refused_request_may_be_sent_again(shop: Shop) -> None:
    """A refusal is not an answer to keep: the same request succeeds once its reason is gone."""
    await shop.sell("TEE", 1)
    request = create_order(2)
    request.request_id = str(uuid.uuid4())
    async with nothing_written(shop.pool):
        assert (await refused(shop.storefront.orders.CreateOrder(request))).reason == "INSUFFICIENT_STOCK"
    await shop.receive("TEE", 1)
    assert (await shop.storefront.orders.CreateOrder(request)).lines[0].quantity == 2


async def test_an_id_of_another_method_is_reused(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    request_id = str(uuid.uuid4())
    request = create_order(1)
    request.request_id = request_id
    await shop.pms.orders.CreateOrder(request)
    async with nothing_written(shop.pool):
        refusal = await refused(
            shop.pms.inventory.AdjustStock(
                inventory.AdjustStockRequest(
                    sku="TEE", delta=1, reason=inventory.ADJUSTMENT_REASON_FOUND, request_id=request_id
                )
            )
        )
    assert refusal.reason == "REQUEST_ID_REUSED"
    assert refusal.metadata["method"] == "/stockward.order.v1.OrderService/CreateOrder"


async def test_a_batch_answers_what_single_orders_were_answered(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    request = create_order(1)
    request.request_id = str(uuid.uuid4())
    single = await shop.storefront.orders.CreateOrder(request)
    async with nothing_written(shop.pool):
        assert await in_batch("BatchCreateOrders")(shop.storefront, request) == single


async def test_many_at_once_with_one_id_in_either_case_are_one(shop: Shop) -> None:
    await shop.sell("TEE", 50)
    request = create_order(1)
    requests = [type(request)(), type(request)()]
    for each, spelling in zip(requests, (str.lower, str.upper), strict=True):
        each.CopyFrom(request)
        each.request_id = spelling("0190ABCD-0000-7000-8000-00000000000F")
    answers = await asyncio.gather(*(shop.storefront.orders.CreateOrder(each) for each in requests * 10))
    assert len({answer.order_id for answer in answers}) == 1
    assert await shop.counters("TEE") == (50, 0, 1)


async def test_without_a_request_id_each_call_is_one_of_its_own(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    first, second = [await shop.storefront.orders.CreateOrder(create_order(1)) for _ in range(2)]
    assert first.order_id != second.order_id
    assert await shop.counters("TEE") == (5, 0, 2)
