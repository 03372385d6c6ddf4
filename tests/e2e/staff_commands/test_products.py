"""`stockward products`: each verb on a running server, as a person and as a script has it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from tests.staff_terminal import Both, Run, rows


async def test_a_product_from_draft_to_archive(run: Run, both: Both) -> None:
    made, product = await both(
        *("products", "create", "--title", "Blue mug of tin", "--vendor", "Acme", "--tag", "kitchen"),
        *("--variant", "MUG/B 12.50 Colour=Blue", "--variant", "'MUG RED' 13 Colour=Red"),
    )
    assert product["handle"] == "blue-mug-of-tin"
    assert [variant["price"]["units"] for variant in product["variants"]] == ["12", "13"]
    assert "State        draft" in made
    assert ["MUG/B", "Blue", "EUR", "12.50", "Colour:", "Blue", "0", "no"] in rows(made)

    await both("products", "update", "MUG/B", "--vendor", "", "--title", "Mug")
    changed = (await run("products", "update", "MUG RED", "--price", "MUG RED=13.90", "--json")).json
    assert (changed["title"], changed["vendor"], changed["tags"]) == ("Mug", "", ["kitchen"])
    assert changed["variants"][1]["price"] == {"currencyCode": "EUR", "units": "13", "nanos": 900_000_000}
    assert changed["variants"][0] == product["variants"][0]

    checked, readiness = await both("products", "check", "MUG RED")
    assert readiness["ready"]
    assert "NO_IMAGE" in checked

    await both("products", "publish", "MUG RED")
    printed, listing = await both("products", "list", "--state", "published", "--tag", "kitchen")
    assert [each["title"] for each in listing["products"]] == ["Mug"]
    assert rows(printed)[0][1:3] == ["Mug", "published"]
    for verb, state in (("unpublish", "UNPUBLISHED"), ("archive", "ARCHIVED"), ("restore", "UNPUBLISHED")):
        assert (await both("products", verb, product["productId"]))[1]["state"] == f"STATE_{state}"
    shown, found = await both("products", "show", "MUG/B")
    assert found["productId"] in shown
    later = await run("products", "publish", "MUG/B", "--at", "2100-01-01T00:00:00Z", "--json")
    assert later.json["scheduledPublishTime"] == "2100-01-01T00:00:00Z"


async def test_skus_of_any_script(both: Both, run: Run) -> None:
    """In either form of Unicode; columns are as wide as what stands in them."""
    await both("products", "create", "--title", "緑", "--variant", "GRÜN-1 5", "--variant", "緑の本 6 Size=L")
    printed, level = await both("stock", "receive", "GRU\u0308N-1", "4")
    assert level["sku"] == "GRÜN-1"
    assert "GRÜN-1" in printed
    renamed, product = await both("products", "rename-sku", "GRU\u0308N-1", "صنف-١")
    assert [variant["sku"] for variant in product["variants"]] == ["صنف-١", "緑の本"]
    assert "صنف-١" in renamed
    _, found = await both("stock", "list", "--sku", "صنف-١")
    assert [each["onHand"] for each in found["stockLevels"]] == ["4"]
    repriced = (await run("products", "update", "緑の本", "--price", "緑の本=7", "--json")).json
    assert repriced["variants"][1]["price"]["units"] == "7"
    refused = await run("products", "rename-sku", "緑の本", "A\u200bB")
    assert refused.code != 0
    assert "U+200B (ZERO WIDTH SPACE) at position 2" in refused.err


async def test_a_product_from_json(both: Both, run: Run, tmp_path: Path) -> None:
    _, product = await both("products", "create", "--title", "Cap", "--variant", "CAP 5")
    product["description"] = "Warm"
    file = tmp_path / "product.json"
    file.write_text(json.dumps(product))
    _, changed = await both("products", "update", "CAP", "--file", file, "--etag", product["etag"])
    assert (changed["description"], changed["variants"]) == ("Warm", product["variants"])
    stale = await run("products", "update", "CAP", "--title", "Hat", "--etag", product["etag"])
    assert (stale.code, "ETAG_MISMATCH" in stale.err) == (1, True)
    _, copy = await both("products", "create", "--file", "-", "--title", "Hat", stdin='{"tags": ["new"]}')
    assert (copy["title"], copy["tags"]) == ("Hat", ["new"])


async def test_a_product_is_named_by_its_id_its_handle_or_a_sku(run: Run) -> None:
    first, hyphens = f"POT-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex  # as a UUID without hyphens
    variants = ("--variant", f"{first} 5 Size=S", "--variant", f"{hyphens} 6 Size=L")
    made = (await run("products", "create", "--title", "A pot", *variants, "--json")).json
    for name in (made["productId"], made["productId"].upper(), made["handle"], first, hyphens):
        assert (await run("products", "show", name, "--json")).json["productId"] == made["productId"]
    assert (await run("products", "show", "")).code == 1
    assert (await run("products", "archive", made["handle"], "--json")).json["state"] == "STATE_ARCHIVED"
    assert (await run("products", "restore", first, "--json")).json["state"] == "STATE_DRAFT"

    title, sku = "long pot " * 20, f"POT-{uuid.uuid4().hex[:8]}"
    long = (await run("products", "create", "--title", title, "--variant", f"{sku} 5", "--json")).json
    assert len(long["handle"]) > 64, "more than a SKU may have"
    assert (await run("products", "show", long["handle"], "--json")).json["productId"] == long["productId"]

    other = (await run("products", "create", "--title", "B pot", "--variant", f"{made['handle']} 5", "--json")).json
    refused = await run("products", "show", made["handle"])
    assert refused.code == 1
    assert made["productId"] in refused.err
    assert other["productId"] in refused.err


async def test_a_handle_or_a_sku_may_look_like_an_id(run: Run) -> None:
    handle, sku = (str(uuid.uuid4()) for _ in range(2))
    create = ("products", "create", "--title", "Pan", "--json")
    pan = (await run(*create, "--handle", handle, "--variant", f"{sku} 5")).json
    for name in (handle, sku):
        assert (await run("products", "show", name, "--json")).json["productId"] == pan["productId"]
    other = (await run(*create, "--variant", f"{pan['productId']} 5")).json
    assert other["productId"] != pan["productId"]
    assert (await run("products", "show", pan["productId"], "--json")).json["productId"] == pan["productId"]
