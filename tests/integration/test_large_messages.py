"""Of each caller one large message is objects in memory at a time."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from stockward.order.v1.order_pb2 import CreateOrderRequest

from stockward_server.api.calls import interceptor
from stockward_server.api.calls.large_messages import LargeMessages
from stockward_server.wire.validation import rules
from tests.commands import locked, sell, waiting_for_locks
from tests.events import until
from tests.shop import Shop


async def test_those_of_one_caller_wait_for_each_other() -> None:
    messages = LargeMessages()
    left = await messages.enter("busy")
    gone = asyncio.create_task(messages.enter("busy"))
    waiting = asyncio.create_task(messages.enter("busy"))
    (await messages.enter("modest"))(None)
    assert not waiting.done()
    gone.cancel()
    left(None)
    (await waiting)(None)
    (await messages.enter("busy"))(None)


async def test_a_large_message_is_not_parsed_while_others_of_its_caller_are_worked_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "LARGE", 200)
    parsed: list[str] = []
    validate = rules.validate

    def note(message: Any, *options: Any) -> None:
        parsed.append(message.reference)
        validate(message, *options)

    monkeypatch.setattr(rules, "validate", note)
    await sell(shop.pool, MUG=10)

    def order(letter: str) -> CreateOrderRequest:
        line = CreateOrderRequest.Line(sku="MUG", quantity=1)
        return CreateOrderRequest(lines=[line], reference=letter * 200, request_id=str(uuid.uuid4()))

    async with locked(shop.pool, "MUG"):
        first = asyncio.ensure_future(shop.storefront.orders.CreateOrder(order("a")))
        await until(lambda: waiting_for_locks(shop.pool, 1))
        second = asyncio.ensure_future(shop.storefront.orders.CreateOrder(order("b")))
        third = asyncio.ensure_future(shop.pms.orders.CreateOrder(order("c")))
        await until(lambda: asyncio.sleep(0, len(parsed) == 2))
        assert [reference[0] for reference in parsed] == ["a", "c"]
    await asyncio.gather(first, second, third)
    assert sorted(reference[0] for reference in parsed) == ["a", "b", "c"]
