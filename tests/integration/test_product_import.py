"""ImportProducts: rows that stand for themselves, and what becomes of each."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from google.rpc import error_details_pb2
from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_server.api.catalog import import_rows
from stockward_server.storage.database import Pool
from tests.products import create, draft, event_types, get, step
from tests.shop import Callers, Shop, money
from tests.snapshot import nothing_written

CREATED, UPDATED, UNCHANGED, REFUSED = (
    pb.ImportResult.ACTION_CREATED,
    pb.ImportResult.ACTION_UPDATED,
    pb.ImportResult.ACTION_UNCHANGED,
    pb.ImportResult.ACTION_REFUSED,
)


def row(handle: str, *skus: str, request_id: str = "", **fields: Any) -> pb.ImportProductsRequest:
    product = draft(fields.pop("title", handle or "Nameless"), *skus, handle=handle, **fields)
    return pb.ImportProductsRequest(product=product, request_id=request_id)


async def send(pms: Callers, *rows: pb.ImportProductsRequest) -> list[pb.ImportResult]:
    answer = await pms.catalog.ImportProducts(iter(rows))
    return list(answer.results)


def refusal(result: pb.ImportResult) -> tuple[str, str]:
    """Reason and field of a refused row."""
    assert (result.action, result.product_id) == (REFUSED, "")
    info = error_details_pb2.ErrorInfo()
    assert result.error.details[0].Unpack(info)
    return info.reason, info.metadata.get("field", "")


async def test_rows_are_created_updated_left_and_refused_in_their_order(pms: Callers, database: Pool) -> None:
    tee = await create(pms, "Tee", "TEE", handle="tee", vendor="Acme")
    mug = await create(pms, "Mug", "MUG", handle="mug")
    cap = await step(pms, "Publish", await create(pms, "Cap", "CAP", handle="cap"))

    results = await send(
        pms,
        row("new", "NEW-1", "NEW-2", title="New"),
        row("tee", "TEE", title="Tee", vendor="Other"),
        row("mug", "MUG", title="Mug"),
        row("taken", "MUG"),
        row("No handle", "X"),
        row("cap"),
        row("twice", "T", "T"),
        pb.ImportProductsRequest(product=pb.Product(title="x", variants=[pb.Variant(sku="Y", price=money("0.001"))])),
        pb.ImportProductsRequest(),
        row("nul", title="A\0B"),
        row("bad-id", request_id="1"),
        row("last", "LAST"),
    )

    assert [result.action for result in results] == [CREATED, UPDATED, UNCHANGED, *[REFUSED] * 8, CREATED]
    assert [refusal(result) for result in results[3:11]] == [
        ("SKU_TAKEN", "product.variants[0].sku"),
        ("FIELD_INVALID", "product.handle"),
        ("PRODUCT_NOT_READY", ""),
        ("SKU_TAKEN", "product.variants[1].sku"),
        ("MONEY_INVALID", "product.variants[0].price"),
        ("FIELD_INVALID", "product.title"),
        ("FIELD_INVALID", ""),
        ("FIELD_INVALID", "request_id"),
    ]
    assert [results[1].product_id, results[2].product_id] == [tee.product_id, mug.product_id]
    assert (await get(pms, tee)).vendor == "Other"
    assert await get(pms, mug) == mug
    assert await get(pms, cap) == cap
    new = await get(pms, pb.Product(product_id=results[0].product_id))
    assert (new.handle, new.title, [variant.sku for variant in new.variants]) == ("new", "New", ["NEW-1", "NEW-2"])
    assert await event_types(database, tee) == ["created", "updated"]
    assert await event_types(database, mug) == ["created"]
    assert await database.fetchval("SELECT count(*) FROM products") == 5


async def test_rows_with_the_same_handle_are_done_in_their_order(pms: Callers, database: Pool) -> None:
    rows = [row(handle, f"{handle}-SKU", vendor=f"{n}") for n in range(20) for handle in ("a", "b", "c")]
    results = await send(pms, *rows)
    assert [result.action for result in results] == [CREATED] * 3 + [UPDATED] * 57
    assert len({result.product_id for result in results}) == 3
    for result in results[:3]:
        product = await get(pms, pb.Product(product_id=result.product_id))
        assert (product.vendor, product.version) == ("19", 20)
        assert await event_types(database, product) == ["created"] + ["updated"] * 19


async def test_the_first_row_with_a_sku_gets_it(pms: Callers) -> None:
    for number in range(5):
        rows = [row(f"{letter}{number}", f"OWN-{letter}{number}", f"SKU-{number}") for letter in "abcdefgh"]
        assert [result.action for result in await send(pms, *rows)] == [CREATED] + [REFUSED] * 7


async def test_a_row_without_a_handle_is_always_a_new_product(pms: Callers) -> None:
    results = await send(
        pms, row("", title="茶碗"), row("", title="湯呑"), row("", "SKU", title="茶碗"), row("", "SKU")
    )
    assert [result.action for result in results] == [CREATED, CREATED, CREATED, REFUSED]
    handles = [(await get(pms, pb.Product(product_id=result.product_id))).handle for result in results[:3]]
    assert handles == ["茶碗", "湯呑", "茶碗-2"]


async def test_an_etag_is_compared(pms: Callers) -> None:
    tee = await create(pms, "Tee", "TEE", handle="tee")
    stale, current = row("tee", "TEE", vendor="Acme"), row("tee", "TEE", vendor="Acme")
    stale.product.etag, current.product.etag = "9", tee.etag
    results = await send(pms, stale, current)
    assert [result.action for result in results] == [REFUSED, UPDATED]
    assert results[0].error.code == 10  # ABORTED


async def test_an_import_that_is_sent_again_answers_the_same(pms: Callers, database: Pool) -> None:
    rows = [row(f"p{n}", f"SKU-{n}", request_id=str(uuid.uuid4())) for n in range(10)]
    first, second = await asyncio.gather(send(pms, *rows), send(pms, *rows))
    assert first == second == await send(pms, *rows)
    assert [result.action for result in first] == [CREATED] * 10
    rows[3].product.vendor = "Acme"
    assert [result.action for result in await send(pms, *rows)] == [CREATED] * 3 + [REFUSED] + [CREATED] * 6
    assert await database.fetchval("SELECT count(*) FROM events") == 10


async def test_rows_beyond_the_limit_are_refused(pms: Callers, database: Pool) -> None:
    limit, import_rows.MAX_ROWS = import_rows.MAX_ROWS, 3
    try:
        results = await send(pms, *(row(f"p{n}") for n in range(5)))
    finally:
        import_rows.MAX_ROWS = limit
    assert [result.action for result in results] == [CREATED] * 3 + [REFUSED] * 2
    assert await database.fetchval("SELECT count(*) FROM products") == 3


async def test_no_rows(pms: Callers) -> None:
    assert await send(pms) == []


async def test_a_variant_in_use_refuses_only_its_row(shop: Shop) -> None:
    await create(shop.pms, "Tee", "TEE-L", "TEE-M", handle="tee")
    await shop.receive("TEE-M", 1)
    results = await send(shop.pms, row("tee", "TEE-L"), row("mug", "MUG"))
    assert [result.action for result in results] == [REFUSED, CREATED]
    assert refusal(results[0]) == ("VARIANT_IN_USE", "product.variants")


async def test_a_row_that_is_only_checked_is_answered_as_if_it_were_done(shop: Shop, database: Pool) -> None:
    pms = shop.pms
    tee = await create(pms, "Tee", "TEE", handle="tee", vendor="Acme")
    await create(pms, "Mug", "MUG", handle="mug")
    await create(pms, "Cap", "CAP-S", "CAP-M", handle="cap")
    await shop.receive("CAP-M", 1)
    rows = [
        row("new", "NEW"),
        row("tee", "TEE", title="Tee", vendor="Other"),
        row("mug", "MUG", title="Mug"),
        row("taken", "MUG"),
        row("cap", "CAP-S"),
        row("empty"),
        row("bad", title=" "),
        row("", "ANY", title="Tee", request_id=str(uuid.uuid4())),
    ]
    for each in rows:
        each.validate_only = True

    async with nothing_written(database):
        checked = await send(pms, *rows)

    assert [result.action for result in checked] == [
        *(CREATED, UPDATED, UNCHANGED),
        *(REFUSED, REFUSED, CREATED, REFUSED, CREATED),
    ]
    assert [refusal(checked[n])[0] for n in (3, 4, 6)] == ["SKU_TAKEN", "VARIANT_IN_USE", "FIELD_INVALID"]
    assert (checked[0].product_id, checked[1].product_id) == ("", tee.product_id)
    assert [issue.code for issue in checked[5].blocking] == ["NO_VARIANTS"]

    for each in rows:
        each.validate_only = False
    done = await send(pms, *rows)
    assert [(each.action, each.blocking) for each in done] == [(each.action, each.blocking) for each in checked]
    assert done[7].product_id, "a request_id is not used up by a check"
