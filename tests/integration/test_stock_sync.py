"""SyncStock: counts and changes by the thousand, each row for itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.rpc import code_pb2, error_details_pb2, status_pb2
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2 as pb

from tests.shop import Shop, money, refused
from tests.snapshot import nothing_written


async def sell_many(shop: Shop, skus: list[str]) -> None:
    """Publishes a variant for each SKU, 500 to a product."""
    for start in range(0, len(skus), 500):
        variants = [
            catalog_pb2.Variant(sku=sku, price=money("5.00"), options={"Code": sku})
            for sku in skus[start : start + 500]
        ]
        product = await shop.pms.catalog.CreateProduct(
            catalog_pb2.CreateProductRequest(product=catalog_pb2.Product(title=f"From {start}", variants=variants))
        )
        await shop.pms.catalog.PublishProduct(catalog_pb2.PublishProductRequest(product_id=product.product_id))


async def sync(shop: Shop, *requests: pb.SyncStockRequest) -> list[pb.SyncStockResponse]:
    """Sends all, then reads all answers."""
    return [answer async for answer in shop.pms.inventory.SyncStock(iter(requests))]


def rows(changes: Iterable[dict[str, Any]], **fields: Any) -> pb.SyncStockRequest:
    return pb.SyncStockRequest(rows=[pb.SyncStockRequest.Row(**each) for each in changes], **fields)


def reason_of(error: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert error.details[0].Unpack(info)
    assert info.domain == "stockward"
    return info.reason


async def movements(shop: Shop, **fields: Any) -> list[pb.StockMovement]:
    answer = await shop.pms.inventory.ListStockMovements(pb.ListStockMovementsRequest(page_size=1000, **fields))
    return list(answer.movements)


async def test_a_thousand_rows_in_one_message(shop: Shop) -> None:
    skus = [f"S{number:04}" for number in range(1000)]
    await sell_many(shop, skus)
    (answer,) = await sync(shop, rows([{"sku": sku, "on_hand": number} for number, sku in enumerate(skus)]))
    assert [(each.on_hand, each.available) for each in answer.results] == [(number, number) for number in range(1000)]
    assert not any(each.HasField("error") for each in answer.results)
    assert await shop.counters("S0999") == (999, 0, 0)
    assert len(await movements(shop)) == 1000
    await sync(shop, rows([{"sku": sku, "on_hand": number} for number, sku in enumerate(skus)]))
    assert len(await movements(shop)) == 1000, "a count that agrees leaves no trace"
    await shop.verify()


async def test_a_refused_row_does_not_stop_the_others(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    (answer,) = await sync(
        shop,
        rows(
            [
                {"sku": "TEE", "delta": 2},
                {"sku": "NONE", "on_hand": 1},
                {"sku": "TEE", "location_id": "nowhere", "on_hand": 1},
                {"sku": "MUG", "delta": -6},
                {"sku": "MUG", "on_hand": 9, "expected_on_hand": 4},
                {"sku": "MUG", "on_hand": 8, "expected_on_hand": 5},
            ]
        ),
    )
    refusals = [reason_of(each.error) if each.HasField("error") else "" for each in answer.results]
    assert refusals == ["", "SKU_UNKNOWN", "LOCATION_UNKNOWN", "STOCK_NEGATIVE", "STOCK_CHANGED", ""]
    assert answer.results[1].error.code == code_pb2.NOT_FOUND
    assert answer.results[3].error.code == code_pb2.FAILED_PRECONDITION
    assert (answer.results[0].on_hand, answer.results[5].on_hand) == (7, 8)
    assert await shop.counters("TEE") == (7, 0, 0)
    assert await shop.counters("MUG") == (8, 0, 0)


async def test_rows_of_one_sku_are_applied_in_their_order(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    (answer,) = await sync(
        shop,
        rows(
            [
                {"sku": "TEE", "on_hand": 3},
                {"sku": "TEE", "delta": 4},
                {"sku": "TEE", "on_hand": 1, "expected_on_hand": 7},
            ]
        ),
    )
    assert [each.on_hand for each in answer.results] == [3, 7, 1]
    assert [each.on_hand_delta for each in await movements(shop)] == [-6, 4, -2, 5]


async def test_rows_tell_what_is_available_beside_what_is_promised(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.order("TEE", 4)
    (answer,) = await sync(shop, rows([{"sku": "TEE", "on_hand": 3}]))
    assert (answer.results[0].on_hand, answer.results[0].available) == (3, -1)


async def test_the_ledger_says_why_and_from_where(shop: Shop) -> None:
    await shop.sell("TEE")
    await sync(
        shop,
        rows([{"sku": "TEE", "on_hand": 3}], reference="sheet 1"),
        rows([{"sku": "TEE", "delta": -1}], reference="sheet 2", reason=pb.ADJUSTMENT_REASON_LOST),
    )
    assert [(each.reason, each.reference, each.actor) for each in await movements(shop)] == [
        (pb.ADJUSTMENT_REASON_LOST, "sheet 2", "pms"),
        (pb.ADJUSTMENT_REASON_COUNTED, "sheet 1", "pms"),
    ]


async def test_a_message_sent_twice_takes_effect_once(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    message = rows([{"sku": "TEE", "delta": 2}, {"sku": "NONE", "delta": 1}], request_id=str(uuid.uuid4()))
    first, again = await sync(shop, message, message)
    assert first == again
    async with nothing_written(shop.pool):
        assert await sync(shop, message) == [first]
    assert await shop.counters("TEE") == (7, 0, 0)


async def test_several_messages_in_flight_are_answered_in_their_order(shop: Shop) -> None:
    await shop.sell("TEE")
    messages = [rows([{"sku": "TEE", "delta": number}] * 50) for number in range(1, 11)]
    answers = await sync(shop, *messages)
    totals = [50 * sum(range(1, number + 1)) for number in range(1, 11)]
    assert [answer.results[-1].on_hand for answer in answers] == totals
    assert await shop.counters("TEE") == (totals[-1], 0, 0)


async def test_an_answer_comes_as_soon_as_its_message_is_done(shop: Shop) -> None:
    """The next message waits for the answer to the one before: neither side has to collect."""
    await shop.sell("TEE")
    answered: asyncio.Queue[int] = asyncio.Queue()

    async def talk() -> AsyncIterator[pb.SyncStockRequest]:
        for number in (1, 2, 3):
            yield rows([{"sku": "TEE", "delta": number}])
            assert await asyncio.wait_for(answered.get(), 10) == number

    number = 0
    async for answer in shop.pms.inventory.SyncStock(talk()):
        number += 1
        assert answer.results[0].on_hand == sum(range(number + 1))
        answered.put_nowait(number)
    assert number == 3


async def test_streams_side_by_side_lose_nothing(shop: Shop) -> None:
    await shop.sell("TEE")
    await asyncio.gather(*(sync(shop, *[rows([{"sku": "TEE", "delta": 1}] * 10)] * 5) for _ in range(4)))
    assert await shop.counters("TEE") == (200, 0, 0)
    await shop.verify()


async def test_what_was_answered_stays_when_a_later_message_breaks_a_rule(shop: Shop) -> None:
    await shop.sell("TEE")
    good, bad = rows([{"sku": "TEE", "delta": 4}]), rows([{"sku": "TEE", "delta": 1}] * 1001)
    stream = aiter(shop.pms.inventory.SyncStock(iter([good, bad])))
    assert (await anext(stream)).results[0].on_hand == 4
    async with nothing_written(shop.pool):
        refusal = await refused(anext(stream))
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["rows"])
    assert await shop.counters("TEE") == (4, 0, 0)


async def test_a_row_that_breaks_a_rule_is_refused_alone(shop: Shop) -> None:
    await shop.sell("TEE")
    broken: list[dict[str, Any]] = [{"sku": "TEE"}, {"sku": "", "delta": 1}, {"sku": "TEE", "on_hand": -1}]
    (answer,) = await sync(shop, rows([{"sku": "TEE", "delta": 4}, *broken, {"sku": "TEE", "delta": 5}]))
    fields = []
    for result in answer.results[1:4]:
        detail = error_details_pb2.BadRequest()
        assert result.error.details[1].Unpack(detail)
        fields.append(detail.field_violations[0].field)
    assert fields == ["rows[1].change", "rows[2].sku", "rows[3].on_hand"]
    assert [answer.results[0].on_hand, answer.results[4].on_hand] == [4, 9]
    assert await shop.counters("TEE") == (9, 0, 0)
