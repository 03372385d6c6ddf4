"""SKUs of any script and with every printable character, through the paths, queries and bodies of REST."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest

from tests.awkward import SKUS
from tests.edge.caller import Edge
from tests.shop import Shop


@pytest.mark.parametrize("sku", SKUS)
async def test_a_sku_is_found_by_its_path(edge: Edge, edge_shop: Shop, sku: str) -> None:
    """Percent-encoded with nothing left as it is; in either form of Unicode."""
    await edge_shop.sell(sku, 3)
    for written in (sku, unicodedata.normalize("NFD", sku)):
        path = quote(written, safe="")
        if written.strip(".") == "":
            path = path.replace(".", "%2E")
        found = await edge.done("GET", f"/api/storefront/stock/{path}")
        assert (found["sku"], found["available"]) == (sku, "3")
        assert (await edge.done("GET", f"/api/pms/inventory/explain/{path}", by="pms"))["available"] == "3"
        many = await edge.done("GET", f"/api/storefront/stock?skus=NONE&skus={path}")
        assert ([each["sku"] for each in many["availabilities"]], many["unknownSkus"]) == ([sku], ["NONE"])
        levels = await edge.done("GET", f"/api/pms/inventory/stock?sku={quote(written, safe='')}", by="pms")
        assert [level["sku"] for level in levels["stockLevels"]] == [sku]
    events = f"/api/pms/events?aggregateId={quote(sku, safe='')}%40main"
    assert (await edge.done("GET", events, by="pms"))["events"][0]["stock"]["sku"] == sku

    new = f"{sku[:40]}²"
    path = quote(sku, safe="").replace(".", "%2E")
    product = await edge.done("PUT", f"/api/pms/products/skus/{path}/rename", {"newSku": new}, by="pms")
    assert product["variants"][0]["sku"] == new
    gone = await edge.call("GET", f"/api/storefront/stock/{path}")
    assert (gone.http, gone.reason) == (404, "SKU_UNKNOWN")


async def test_what_is_no_sku_is_refused_in_words(edge: Edge) -> None:
    answer = await edge.call("GET", "/api/storefront/stock/A%E2%80%AEB")
    assert (answer.http, answer.reason, answer.fields) == (400, "FIELD_INVALID", ["sku"])
    assert "U+202E (RIGHT-TO-LEFT OVERRIDE) at position 2" in answer.json["message"]
