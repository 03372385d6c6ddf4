"""A page ends by bytes as well as by rows: the same rows come, each once and in order."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message_factory import GetMessageClass
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.application.ports.pages import PAGE_BYTES
from stockward_server.storage.events import event_log
from stockward_server.wire import pages
from tests.known_shop import METHODS, Known, payment, send
from tests.shop import money

WALKED = [method for method in METHODS if "page_size" in method.input_type.fields_by_name]
"""Every method whose rows come page by page."""


async def walk(known: Known, method: MethodDescriptor, page_size: int) -> list[list[Any]]:
    """The rows of each page."""
    build: Any = GetMessageClass(method.input_type)
    rows = next(field.name for field in method.output_type.fields if field.message_type)
    named = known.named(method) | known.endpoint(method)
    walked, after, more = list[list[Any]](), dict[str, Any](), True
    while more:
        answer: Any = await send(known.shop, build(page_size=page_size, **named, **after))
        if getattr(answer, rows):
            walked.append(list(getattr(answer, rows)))
        if method.name == "ListEvents":
            after, more = {"cursor": answer.next_cursor}, not answer.caught_up
        else:
            after, more = {"page_token": answer.next_page_token}, bool(answer.next_page_token)
    return walked


@pytest.mark.parametrize("method", WALKED, ids=lambda method: method.name)
async def test_pages_that_end_by_bytes_have_the_same_rows(
    known: Known, method: MethodDescriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method.name == "ListStockAlerts":
        await keep_back(known, 1000)
    if method.name == "ListPayments":
        await send(known.shop, payment(money("1"), "PROCESSING")(known))
    (rows,) = await walk(known, method, 1000)
    assert len(rows) > 1
    monkeypatch.setattr(event_log, "BY_BYTES", event_log.BY_BYTES.replace(str(PAGE_BYTES), "1"))
    monkeypatch.setattr(pages, "PAGE_BYTES", 1)
    for page_size in (1, 2, 1000):
        assert await walk(known, method, page_size) == [[row] for row in rows]
    size = sum(row.ByteSize() for row in rows[:2]) + 2 * pages.ROW_BYTES
    monkeypatch.setattr(pages, "PAGE_BYTES", size)
    some = await walk(known, method, 1000)
    assert [row for page in some for row in page] == rows
    if method.name != "ListEvents":
        assert len(some[0]) == 2
    monkeypatch.undo()
    assert await walk(known, method, 1000) == [rows]
    if method.name == "ListStockAlerts":
        await keep_back(known, 0)  # other tests buy in this shop


async def keep_back(known: Known, units: int) -> None:
    """Nobody may buy the last so many units; with more than there are each SKU has an alert."""
    for sku in ("TEE", "MUG", "CAP"):
        policy = inventory.SetStockPolicyRequest(
            sku=sku, safety_stock=units, update_mask=FieldMask(paths=["safety_stock"])
        )
        await send(known.shop, policy)


async def test_a_row_that_is_larger_than_a_page_comes_alone(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 2000)
    large = catalog.Product(product_id=known.products["PUBLISHED"], description="x" * 3000)
    await known.shop.pms.catalog.UpdateProduct(
        catalog.UpdateProductRequest(product=large, update_mask=FieldMask(paths=["description"]))
    )
    method = next(method for method in WALKED if method.name == "ListProducts")
    walked = await walk(known, method, 1000)
    assert [len(page) for page in walked if page[0].description] == [1]
    assert len(walked) > 1
