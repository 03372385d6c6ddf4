"""BatchAdjustStock, BatchSetStock, BatchImportProducts: many rows in one call, a result a row."""

from __future__ import annotations

import asyncio
import uuid

from google.protobuf.message import Message
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as pb

from tests.commands import locked
from tests.integration.test_stock_sync import movements, reason_of, rows, sync
from tests.shop import Shop, money
from tests.snapshot import nothing_written

COUNT = pb.BatchSetStockRequest.Row


def adjustment(sku: str, delta: int, **fields: object) -> pb.AdjustStockRequest:
    return pb.AdjustStockRequest(sku=sku, delta=delta, reason=pb.ADJUSTMENT_REASON_FOUND, **fields)  # type: ignore[arg-type]


def product(sku: str, **fields: object) -> catalog.Product:
    variants = [catalog.Variant(sku=sku, price=money("5.00"))]
    return catalog.Product(title=f"Of {sku}", handle=sku.lower(), variants=variants, **fields)  # type: ignore[arg-type]


async def adjust(shop: Shop, *requests: pb.AdjustStockRequest) -> list[pb.BatchAdjustStockResponse.Result]:
    return list((await shop.pms.inventory.BatchAdjustStock(pb.BatchAdjustStockRequest(requests=requests))).results)


async def test_each_adjustment_succeeds_or_fails_alone(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    results = await adjust(
        shop,
        adjustment("TEE", 2, note="found"),
        adjustment("NONE", 1),
        adjustment("TEE", -9),
        pb.AdjustStockRequest(sku="TEE", delta=1),
        adjustment("TEE", -7),
    )
    assert [reason_of(each.error) if each.HasField("error") else each.stock_level.on_hand for each in results] == [
        *(7, "SKU_UNKNOWN", "STOCK_NEGATIVE", "FIELD_INVALID", 0),
    ]
    assert [(each.on_hand_delta, each.note) for each in (await movements(shop))[:2]] == [(-7, ""), (2, "found")]


async def test_a_batch_of_500_is_done_in_its_order(shop: Shop) -> None:
    await shop.sell("TEE")
    results = await adjust(shop, *[adjustment("TEE", 1)] * 500)
    assert [each.stock_level.on_hand for each in results] == list(range(1, 501))


async def test_a_request_id_is_known_however_the_adjustment_is_sent(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    request = adjustment("TEE", 2, request_id=str(uuid.uuid4()))
    level = await shop.pms.inventory.AdjustStock(request)
    async with nothing_written(shop.pool):
        (again,) = await adjust(shop, request)
    assert again.stock_level == level


async def test_counts_are_set_in_one_call(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    request = pb.BatchSetStockRequest(
        rows=[
            COUNT(sku="TEE", on_hand=0),
            COUNT(sku="MUG"),
            COUNT(sku="MUG", on_hand=7, expected_on_hand=4),
            COUNT(sku="MUG", on_hand=5),
        ],
        reference="sheet 7",
        request_id=str(uuid.uuid4()),
    )
    answer = await shop.pms.inventory.BatchSetStock(request)
    refusals = [reason_of(each.error) if each.HasField("error") else "" for each in answer.results]
    assert refusals == ["", "FIELD_INVALID", "STOCK_CHANGED", ""], "a count that is not given is not zero"
    assert [(each.on_hand, each.on_hand_delta) for each in answer.results] == [(0, -5), (0, 0), (0, 0), (5, 0)]
    async with nothing_written(shop.pool):
        assert await shop.pms.inventory.BatchSetStock(request) == answer
    assert [(each.sku, each.reference, each.reason) for each in (await movements(shop))[:1]] == [
        ("TEE", "sheet 7", pb.ADJUSTMENT_REASON_COUNTED)
    ]


async def test_what_would_change_is_said_without_a_lock_and_without_effect(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG")
    changes = [{"sku": "TEE", "on_hand": 3}, {"sku": "TEE", "delta": 4}, {"sku": "MUG", "delta": -1}]
    count = pb.BatchSetStockRequest(rows=[COUNT(sku="TEE", on_hand=9)], validate_only=True)
    async with nothing_written(shop.pool), locked(shop.pool, "TEE"):
        (checked,) = await asyncio.wait_for(sync(shop, rows(changes, validate_only=True)), 5)
        (counted,) = (await asyncio.wait_for(shop.pms.inventory.BatchSetStock(count), 5)).results
    assert [(each.on_hand, each.available, each.on_hand_delta) for each in checked.results] == [
        *((3, 3, -2), (7, 7, 4), (0, 0, 0)),
    ]
    assert reason_of(checked.results[2].error) == "STOCK_NEGATIVE"
    assert (counted.on_hand, counted.on_hand_delta) == (9, 4)
    (done,) = await sync(shop, rows(changes))
    assert done == checked


async def test_a_request_id_that_was_only_checked_is_free(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    request = rows([{"sku": "TEE", "delta": 4}], request_id=str(uuid.uuid4()), validate_only=True)
    await sync(shop, request)
    request.validate_only = False
    await sync(shop, request)
    assert await shop.counters("TEE") == (9, 0, 0)


async def test_products_are_imported_in_one_call(shop: Shop) -> None:
    async def run(*requests: catalog.ImportProductsRequest) -> list[catalog.ImportResult]:
        batch = catalog.BatchImportProductsRequest(requests=requests)
        return list((await shop.pms.catalog.BatchImportProducts(batch)).results)

    def row(of: catalog.Product, **fields: object) -> catalog.ImportProductsRequest:
        return catalog.ImportProductsRequest(product=of, **fields)  # type: ignore[arg-type]

    request_id = str(uuid.uuid4())
    first = row(product("GRU\u0308N"), request_id=request_id)
    requests: list[Message] = [first, row(product("MUG")), row(product("MUG", vendor="Loom")), row(catalog.Product())]
    results = await run(*requests)  # type: ignore[arg-type]
    actions = [catalog.ImportResult.Action.Name(each.action) for each in results]
    assert actions == [f"ACTION_{each}" for each in ("CREATED", "CREATED", "UPDATED", "REFUSED")]
    assert reason_of(results[3].error) == "FIELD_INVALID"
    async with nothing_written(shop.pool):
        streamed = await shop.pms.catalog.ImportProducts(iter([first]))
    assert streamed.results[0] == results[0], "its request_id is known however it is sent"
