"""`stockward products|stock|orders|events`: each verb on a running server, as a person and as a script has it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shlex
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from stockward_dev import Nats, Postgres
from stockward_server.config import Settings
from tests.commands import locked
from tests.conftest import TEMPLATE
from tests.shop import KEYS, Shop, money, running_shop
from tests.terminal import MODULE, SCRIPT, Outcome, clean_environment, in_process, stockward

Run = Callable[..., Awaitable[Outcome]]

MUTATIONS = {
    *("create", "update", "publish", "unpublish", "archive", "restore", "rename-sku"),
    *("adjust", "receive", "count", "policy", "reserve", "release"),
    *("process", "fulfill", "cancel", "return", "pay", "refund", "charge", "hold", "edit", "note", "parcel"),
    *("unpack", "announce", "update-return", "receive", "close-return", "withdraw-return"),
}

numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def shop(postgres: Postgres, nats: Nats) -> AsyncIterator[Shop]:
    """One server for all of them."""
    url = await postgres.create_database("staff_commands", template=TEMPLATE)
    async with running_shop(Settings.model_validate({"database_url": url, "event_queue_url": nats.url})) as shop:
        yield shop


def reaching(shop: Shop) -> dict[str, str]:
    """What names the server, and lets staff in."""
    return {"STOCKWARD_ADDRESS": shop.address, "STOCKWARD_KEY": KEYS["pms"]}


@pytest.fixture
def run(shop: Shop) -> Run:
    """The command line in this process, which spares an interpreter's start for each command."""

    async def run(*arguments: str | Path, stdin: str = "") -> Outcome:
        return await in_process(*arguments, stdin=stdin, **reaching(shop))

    return run


@pytest.fixture
async def sku(shop: Shop) -> str:
    """For sale at 10.00 EUR, 10 on hand."""
    sku = f"SKU-{next(numbers)}"
    await shop.sell(sku, 10, "10.00")
    return sku


Both = Callable[..., Awaitable[tuple[str, Any]]]


@pytest.fixture
def both(run: Run) -> Both:
    """The same command for a person and for a script: what it prints, and its JSON.

    A change is sent twice with one request_id, so the second answers what the first one did.
    """

    async def both(noun: str, verb: str, *arguments: str | Path, stdin: str = "") -> tuple[str, Any]:
        words = [noun, verb, *arguments]
        words += ["--request-id", str(uuid.uuid4())] if verb in MUTATIONS else []
        read, parsed = await run(*words, stdin=stdin), await run(*words, "--json", stdin=stdin)
        assert (read.code, parsed.code, parsed.err) == (0, 0, ""), (words, read.err, parsed.err)
        return read.out, parsed.json

    return both


def rows(printed: str) -> list[list[str]]:
    """The rows of a table, in words."""
    below = printed.partition("───")[2].splitlines()[1:]
    return [line.split() for line in below if line.strip()]


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


async def test_stock(both: Both, sku: str) -> None:
    assert (await both("stock", "receive", sku, "5", "--reference", "note 7"))[1]["onHand"] == "15"
    assert (await both("stock", "adjust", sku, "-3", "--reason", "damaged"))[1]["onHand"] == "12"
    assert (await both("stock", "count", sku, "20", "--expected", "12"))[1]["onHand"] == "20"
    printed, level = await both("stock", "policy", sku, "--safety-stock", "2", "--reorder-point", "19")
    assert (level["available"], level["alertLevel"]) == ("18", "LEVEL_LOW")
    assert "Reorder point    19" in printed
    printed, alerts = await both("stock", "alerts", "--sku", sku)
    assert [alert["level"] for alert in alerts["alerts"]] == ["LEVEL_LOW"]
    assert "reorderPoint" not in (await both("stock", "policy", sku, "--no-reorder-point"))[1]

    printed, hold = await both("stock", "reserve", f"{sku}=4", "--minutes", "5", "--customer", "ada")
    assert hold["lines"] == [{"sku": sku, "locationId": "main", "quantity": "4"}]
    printed, owners = await both("stock", "show", sku)
    assert owners["claims"][0]["reservationId"] == hold["reservationId"]
    assert hold["reservationId"] in printed
    printed, holds = await both("stock", "holds", "--sku", sku, "--state", "active")
    assert f"4 × {sku}" in printed
    assert len(holds["reservations"]) == 1
    assert (await both("stock", "release", hold["reservationId"]))[1]["state"] == "STATE_RELEASED"

    printed, levels = await both("stock", "list", "--sku", sku)
    assert rows(printed) == [[sku, "main", "20", "0", "0", "2", "18", "0", "0"]]
    assert levels["stockLevels"][0]["available"] == "18"
    printed, movements = await both("stock", "history", "--sku", sku, "--kind", "adjusted")
    assert [each["onHandDelta"] for each in movements["movements"]] == ["8", "-3", "5", "10"]
    assert [row[6] for row in rows(printed)] == ["counted", "damaged", "received", "received"]
    printed, locations = await both("stock", "locations")
    assert (locations["locations"][0]["locationId"], rows(printed)[0][0]) == ("main", "main")


async def test_an_order_to_the_parcel_and_back(both: Both, run: Run, sku: str) -> None:
    reference = f"R-{sku}"
    printed, order = await both("orders", "create", f"{sku}=3", "--reference", reference, "--email", "ada@shop.example")
    assert re.search("Total +EUR 30.00", printed)
    assert re.search("Still to pay +EUR 30.00", printed)
    printed, waiting = await both("orders", "pending", "--limit", "1000")
    assert order["orderId"] in {each["orderId"] for each in waiting["orders"]}
    early = await run("orders", "process", reference)
    assert (early.code, "PAYMENT_REQUIRED" in early.err) == (1, True)
    for kind in ("authorized", "captured"):
        paid = await run("orders", "pay", reference, "--kind", kind, "--json")
        assert paid.json["payment"]["state"] == {"authorized": "STATE_AUTHORIZED", "captured": "STATE_PAID"}[kind]
    told = ("--gift-note", "Dear Ann", "--tag", "vip", "--ship-to", "Ada; Main Street 1; 10115 Berlin; DE")
    printed, updated = await both(
        "orders", "update", reference, *told, "--line-note", "1=Blue", "--attribute", "lane=4"
    )
    assert (updated["giftNote"], updated["tags"], updated["attributes"]) == ("Dear Ann", ["vip"], {"lane": "4"})
    assert updated["lines"][0]["giftNote"] == "Blue"
    wrong = [
        await run("orders", "update", reference, *each) for each in ([], ["--ship-to", "Berlin"], ["--line-note", "1"])
    ]
    wrong.append(await run("orders", "edit", reference, "--line", "1"))
    assert {each.code for each in wrong} == {2}
    _, more = await both("orders", "edit", reference, "--line", "1=2")
    assert more["totals"]["net"] == eur("20")
    _, more = await both("orders", "edit", reference, "--line", "1=3")
    held, on_hold = await both("orders", "hold", reference, "--reason", "fraud", "--note", "two cards")
    assert ("two cards" in held, on_hold["hold"]["reason"]) == (True, "REASON_FRAUD")
    waits = await run("orders", "process", reference)
    assert (waits.code, "ORDER_ON_HOLD" in waits.err) == (1, True)
    await both("orders", "release", reference)
    await both("orders", "process", reference)
    await both("orders", "cancel", reference, "--line", "1=1", "--reason", "changed her mind")
    printed, part = await both("orders", "fulfill", reference, "--line", "1=1", "--tracking", "T1", "--carrier", "DHL")
    assert part["state"] == "STATE_PARTIALLY_FULFILLED"
    assert f"1 × {sku} from main; DHL T1" in printed
    printed, slips = await both("orders", "packing", reference)
    assert ([line["sku"] for line in slips["slips"][0]["lines"]], "Main Street 1" in printed) == ([sku], True)
    _, failed = await both("orders", "parcel", reference, "--state", "failed", "--tracking", "T2")
    assert (failed["fulfillments"][0]["state"], failed["fulfillments"][0]["trackingNumber"]) == ("STATE_FAILED", "T2")
    _, reopened = await both("orders", "unpack", reference, "--reason", "wrong address")
    assert reopened["state"] == "STATE_PROCESSING"
    assert (await both("orders", "fulfill", reference))[1]["state"] == "STATE_FULFILLED"
    several = await run("orders", "parcel", reference, "--state", "delivered")
    assert (several.code, "2 parcels" in several.err) == (2, True)
    nothing = await run("orders", "receive", reference)
    assert (nothing.code, "the order has no return" in nothing.err) == (2, True)
    printed, expected = await both("orders", "announce", reference, "--line", "1=2", "--note", "wrong colour")
    assert (expected["returns"][0]["state"], f"0 of 2 × {sku}; wrong colour" in printed) == ("STATE_ANNOUNCED", True)
    label = "https://labels.example/1"
    _, labelled = await both("orders", "update-return", reference, "--tracking", "B1", "--label", label)
    assert (labelled["returns"][0]["trackingNumber"], labelled["returns"][0]["note"]) == ("B1", "wrong colour")
    _, withdrawn = await both("orders", "withdraw-return", reference, "--reason", "she keeps them")
    assert withdrawn["returns"][0]["state"] == "STATE_WITHDRAWN"
    over = await run("orders", "receive", reference)
    assert (over.code, "RETURN_STATE_INVALID" in over.err) == (1, True)
    for _ in range(2):
        await both("orders", "announce", reference, "--line", "1=1")
    several = await run("orders", "receive", reference)
    assert (several.code, "2 returns are expected" in several.err) == (2, True)
    unclear = await run("orders", "receive", reference, "--damaged")
    assert (unclear.code, "--line" in unclear.err) == (2, True)
    for each in (await run("orders", "show", reference, "--json")).json["returns"][1:]:
        await both("orders", "withdraw-return", reference, "--return", each["returnId"])
    await both("orders", "announce", reference, "--line", "1=2")
    _, returned = await both("orders", "receive", reference, "--line", "1", "--damaged")
    assert returned["returns"][3]["state"] == "STATE_PARTIALLY_RECEIVED"
    _, closed = await both("orders", "close-return", reference)
    assert closed["returns"][3]["state"] == "STATE_CLOSED"
    _, exchange = await both("orders", "create", sku, "--exchange-of", reference)
    assert exchange["exchangeOf"]["returnId"] == closed["returns"][3]["returnId"]
    await both("orders", "cancel", exchange["orderId"])
    assert returned["totals"]["net"]["units"] == "10"
    refunded = (await run("orders", "refund", reference, "--json")).json
    assert (refunded["payment"]["refunded"], refunded["payment"]["refundRequired"]) == (eur("20"), False)
    assert (await run("orders", "refund", reference)).code == 2, "nothing is due"

    printed, charged = await both(
        "orders", "charge", reference, "--kind", "fee", "--amount", "2.50", "--reason", "the box was torn"
    )
    assert (charged["totals"]["net"], charged["charges"][-1]["reason"]) == (eur("12.50"), "the box was torn")
    assert "the box was torn" in printed
    assert charged["charges"][-1]["actor"] == "pms"

    await both("orders", "note", reference, "she called", "--for-customer")
    printed, told = await both("orders", "timeline", reference)
    assert [entry["type"] for entry in told["entries"]][-2:] == ["order.charged", "order.noted"]
    assert all(
        text in printed for text in ("she called", "fraud, two cards", "EUR 30.00 captured by manual", ": 3 → 2")
    )
    printed, reports = await both("orders", "payments", reference)
    assert ([each["kind"] for each in reports["payments"]], "refunded" in printed) == (
        ["KIND_AUTHORIZED", "KIND_CAPTURED", "KIND_REFUNDED"],
        True,
    )

    printed, listing = await both("orders", "list", "--reference", reference, "--state", "fulfilled")
    assert (len(listing["orders"]), f"3 × {sku}" in printed) == (1, True)
    printed, shown = await both("orders", "show", reference)
    assert shown["lines"][0]["returned"] == "1"
    _, cancelled = await both("orders", "cancel", (await run("orders", "create", sku, "--json")).json["orderId"])
    assert cancelled["state"] == "STATE_CANCELLED"


async def test_several_orders_at_once(run: Run, sku: str) -> None:
    names = [f"{sku}-{number}" for number in range(3)]
    made = [(await run("orders", "create", sku, "--reference", name, "--on-account", "--json")).json for name in names]
    id_request = str(uuid.uuid4())
    process = ("orders", "process", names[0], made[1]["orderId"], names[2], names[0])
    done = await run(*process, "--request-id", id_request)
    assert (done.code, len(rows(done.out))) == (0, 3)
    assert rows(done.out)[0] == [names[0], "processing"]
    assert done.err == f"Once it is shipped: stockward orders fulfill {names[0]} {made[1]['orderId']} {names[2]}\n"
    assert (await run("orders", "show", names[0])).err == f"Once it is shipped: stockward orders fulfill {names[0]}\n"
    assert names[0] in (await run("orders", "list", "--sku", sku, "--csv")).out.splitlines()[3].split(",")
    repeated = await run(*process, "--request-id", id_request, "--json")
    assert [result["order"]["state"] for result in repeated.json["results"]] == ["STATE_PROCESSING"] * 3
    again = await run("orders", "process", *names)
    assert (again.code, again.out.count("(ORDER_STATE_INVALID)"), again.err) == (1, 3, "")

    assert (await run("orders", "fulfill", *names[:2], "--tracking", "T1")).code == 2, "a parcel has one number"
    shipped = await run("orders", "fulfill", *names[:2], "--carrier", "DHL")
    assert (shipped.code, shipped.out.count("fulfilled")) == (0, 2)
    mixed = await run("orders", "cancel", *names)
    assert (mixed.code, mixed.out.count("(ORDER_STATE_INVALID)"), mixed.out.count("cancelled")) == (1, 2, 1)


async def test_orders_are_found_by_text_filters_and_the_beginning_of_an_id(run: Run, both: Both, sku: str) -> None:
    order = (
        await run("orders", "create", sku, "--reference", f"F-{sku}", "--email", f"{sku}@x.example", "--json")
    ).json
    for text in (sku, f"F-{sku}", f"{sku}@x", order["orderId"][:23]):
        _, found = await both("orders", "find", text)
        assert order["orderId"] in {each["orderId"] for each in found["orders"]}
    _, listed = await both(
        *("orders", "list", "--state", "pending", "--state", "processing", "--payment", "pending", "--sku", sku),
        *("--min", "EUR 10", "--max", "eur 10.00", "--not-held", "--no-refund-due", "--location", "main"),
        *("--since", "2026-01-01", "--due-since", "2026-01-01", "--order-by", "net desc"),
    )
    assert [each["orderId"] for each in listed["orders"]] == [order["orderId"]]
    _, counts = await both("orders", "counts")
    assert any(each["state"] == "STATE_PENDING" for each in counts["counts"])
    shown = await run("orders", "show", order["orderId"][:-2], "--json")
    assert shown.json["orderId"] == order["orderId"]
    unclear = await run("orders", "show", order["orderId"][:6])
    assert (unclear.code, "type more of one" in unclear.err) == (1, True)
    assert (await run("orders", "list", "--min", "10")).code == 2


async def test_money_in_all_its_kinds(run: Run, both: Both, sku: str) -> None:
    reference = f"M-{sku}"
    await both("orders", "create", f"{sku}=2", "--reference", reference)

    async def pay(*arguments: str) -> Any:
        return (await run("orders", "pay", reference, "--json", *arguments)).json["payment"]

    await pay("--kind", "captured", "--amount", "5", "--provider", "gift-cards", "--tender", "G-1")
    paid = await pay("--kind", "authorized", "--provider", "stripe", "--tender", "pi_1")
    assert (paid["stillToPay"], paid["authorized"]) == (eur("15"), eur("15"))
    await both("orders", "process", reference)
    lapsed = await run("orders", "pay", reference, "--kind", "authorization-expired", *TENDER)
    assert re.search("On hold +payment", lapsed.out)
    assert "gift-cards G-1: EUR 5.00 captured" in lapsed.out
    held = await run("orders", "fulfill", reference)
    assert (held.code, "ORDER_ON_HOLD" in held.err) == (1, True)
    assert (await pay(*TENDER))["state"] == "STATE_PAID"
    failed = await run("orders", "pay", reference, "--kind", "refund-failed", "--amount", "1", *TENDER)
    assert (failed.code, "REFUND_EXCEEDED" in failed.err) == (1, True)
    assert (await run("orders", "pay", reference)).code == 2, "nothing is still to pay"
    await pay("--kind", "disputed", "--amount", "15", *TENDER)
    assert (await pay("--kind", "dispute-lost", *TENDER))["lost"] == eur("15")
    unknown = await run("orders", "charge", reference, "--kind", "tax", "--amount", "1", "--line", "9", "--reason", "x")
    assert (unknown.code, "LINE_UNKNOWN" in unknown.err) == (1, True)


TENDER = ("--provider", "stripe", "--tender", "pi_1")


def eur(amount: str) -> Any:
    """The amount as JSON."""
    return json_format.MessageToDict(money(amount), always_print_fields_with_no_presence=True)


async def test_events(shop: Shop, run: Run, both: Both, sku: str, tmp_path: Path) -> None:
    printed, recorded = await both("events", "list", "--aggregate", f"{sku}@main")
    assert [event["type"] for event in recorded["events"]] == ["stock.changed"]
    assert rows(printed)[0][3:6] == ["stock.changed", f"{sku}@main", "1"]
    first = await run("events", "list", "--limit", "1", "--json")
    cursor = first.json["nextCursor"]
    assert f"--cursor {cursor}" in first.err
    rest = await run("events", "list", "--limit", "1000", "--cursor", cursor, "--type", "stock.*", "--json")
    assert rest.json["caughtUp"]
    assert {event["type"].partition(".")[0] for event in rest.json["events"]} == {"stock"}

    follower = await asyncio.create_subprocess_exec(
        *(*MODULE, "events", "follow", "--type", "stock.changed", "--json"),
        env=clean_environment() | reaching(shop),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert follower.stdout
    assert follower.stderr
    try:
        async with asyncio.timeout(60):
            assert b"Following from cursor" in await follower.stderr.readline()
            await shop.receive(sku, 7)
            event = json.loads(await follower.stdout.readline())
            assert (event["aggregateId"], event["stock"]["onHandDelta"]) == (f"{sku}@main", "7")
    finally:
        follower.send_signal(signal.SIGINT)
        await follower.communicate()
    assert follower.returncode == 130


async def test_lists_follow_pages(shop: Shop, run: Run, sku: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_client.aio_calls.MAX_PAGE_SIZE", 2)
    for _ in range(4):
        await shop.receive(sku, 1)
    everything = await run("stock", "history", "--sku", sku, "--json")
    assert (len(everything.json["movements"]), everything.json["nextPageToken"], everything.err) == (5, "", "")
    some = await run("stock", "history", "--sku", sku, "--limit", "3", "--json")
    assert some.json["movements"] == everything.json["movements"][:3]
    assert some.json["nextPageToken"]
    assert "--limit" in some.err


async def test_the_next_step_is_told_to_people_only(run: Run) -> None:
    words = ("products", "create", "--title", "Pot")
    made = await run(*words)
    (product_id,) = [line.split()[-1] for line in made.out.splitlines() if line.startswith("Product id")]
    assert made.err == f"Publish it: stockward products publish {product_id}\n"
    assert (await run(*words, "--json")).err == ""


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


async def test_a_reference_of_several_orders_names_none_of_them(run: Run, shop: Shop, sku: str) -> None:
    orders = [await shop.order(sku, reference=f"twice-{sku}") for _ in range(2)]
    for verb in ("show", "cancel"):
        refused = await run("orders", verb, f"twice-{sku}")
        assert (refused.code, refused.out) == (1, "")
        assert all(order.order_id in refused.err for order in orders)
    assert (await shop.counters(sku)) == (10, 0, 2)


async def test_a_handle_or_a_sku_may_look_like_an_id(run: Run) -> None:
    handle, sku = (str(uuid.uuid4()) for _ in range(2))
    create = ("products", "create", "--title", "Pan", "--json")
    pan = (await run(*create, "--handle", handle, "--variant", f"{sku} 5")).json
    for name in (handle, sku):
        assert (await run("products", "show", name, "--json")).json["productId"] == pan["productId"]
    other = (await run(*create, "--variant", f"{pan['productId']} 5")).json
    assert other["productId"] != pan["productId"]
    assert (await run("products", "show", pan["productId"], "--json")).json["productId"] == pan["productId"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("products", "show", str(uuid.UUID(int=0))), ["(PRODUCT_NOT_FOUND)"]),
        (("products", "show", "NO-SUCH-SKU"), ["No product has the id, handle or SKU NO-SUCH-SKU (PRODUCT_NOT_FOUND)"]),
        (("products", "show", f" {'x' * 300}\t"), ["No product has the id, handle or SKU", "(PRODUCT_NOT_FOUND)"]),
        (("products", "create", "--title", " "), ["(FIELD_INVALID)", "product.title: "]),
        (("stock", "receive", "NO-SUCH-SKU", "1"), ["no variant has the SKU 'NO-SUCH-SKU' (SKU_UNKNOWN)"]),
        (("stock", "adjust", "{sku}", "-11", "--reason", "lost"), ["(STOCK_NEGATIVE)"]),
        (("stock", "count", "{sku}", "5", "--expected", "9"), ["(STOCK_CHANGED)"]),
        (("stock", "reserve", "{sku}=11"), ["(INSUFFICIENT_STOCK)", "11 wanted, 10 available"]),
        (("orders", "show", "no-such-reference"), ["(ORDER_NOT_FOUND)"]),
        (("orders", "create", "{sku}=11"), ["(INSUFFICIENT_STOCK)"]),
        (("events", "list", "--cursor", "x"), ["(PAGE_TOKEN_INVALID)", "cursor"]),
    ],
)
async def test_a_refusal_is_exit_code_1_with_its_reason(
    run: Run, sku: str, words: tuple[str, ...], said: list[str]
) -> None:
    refused = await run(*(word.format(sku=sku) for word in words), "--json")
    assert (refused.code, refused.out) == (1, "")
    for text in said:
        assert text in refused.err


@pytest.mark.parametrize(
    "words",
    [
        ("products", "list", "--state", "sold"),
        ("products", "create", "--title", "Tee", "--variant", "TEE dear"),
        ("products", "create", "--file", "no-such-file.json"),
        ("products", "update", "{sku}"),
        ("products", "update", "{sku}", "--price", "OTHER=1"),
        ("stock", "adjust", "{sku}", "1"),
        ("stock", "policy", "{sku}"),
        ("stock", "reserve", "{sku}=x"),
        ("stock", "history", "--since", "yesterday"),
        ("stock", "sync", "count.csv", "--encoding", "ascii"),
        ("orders", "fulfill", str(uuid.UUID(int=0)), "--line", "SKU=1"),
        ("orders", "list", "--limit", "0"),
    ],
)
async def test_wrong_usage_is_exit_code_2(run: Run, sku: str, words: tuple[str, ...]) -> None:
    wrong = await run(*(word.format(sku=sku) for word in words))
    assert (wrong.code, wrong.out) == (2, "")
    assert "Error" in wrong.err


async def test_no_answer_is_exit_code_3(tmp_path: Path) -> None:
    """A change says how to repeat it, since nobody knows whether it was done."""
    dead = ("--address", "127.0.0.1:1", "--key", "swk_pms_any")
    looked, changed, nothing = await asyncio.gather(
        stockward("orders", "pending", *dead, cwd=tmp_path),
        stockward("stock", "receive", "TEE", "1", *dead, cwd=tmp_path),
        stockward("orders", "pending", cwd=tmp_path),
    )
    for outcome in (looked, changed, nothing):
        assert (outcome.code, outcome.out) == (3, "")
    assert "The server cannot be reached" in looked.err
    assert "--request-id" not in looked.err
    assert "repeat it with --request-id" in changed.err
    assert "No stack was found" in nothing.err


async def test_an_answer_that_does_not_come_in_time_is_exit_code_3(
    shop: Shop, run: Run, sku: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockward_server.commands.connection.CALL_SECONDS", 0.1)
    async with locked(shop.pool, sku):  # so it cannot come, however fast the machine is
        late = await run("stock", "receive", sku, "1")
    assert (late.code, late.out) == (3, "")
    assert "repeat it with --request-id" in late.err


async def test_stock_from_a_csv_with_bad_rows(shop: Shop, run: Run, sku: str, tmp_path: Path) -> None:
    file = tmp_path / "count.csv"
    file.write_text(
        f"sku, on_hand, location_id, expected_on_hand\n{sku},12,,10\nNO-SUCH-SKU,1,,\n{sku},many,,\n"
        f"{sku},5\n{sku},7,nowhere,\n{sku},8,main,9\n\n{sku},,,\n"
    )
    done = await run("stock", "sync", file, "--json")
    assert done.code == 1
    assert (done.json["rows"], done.json["applied"]) == (7, 1)
    assert [(row["line"], row["reason"], row["field"]) for row in done.json["refused"]] == [
        (3, "SKU_UNKNOWN", "sku"),
        (4, "FIELD_INVALID", "on_hand"),
        (5, "ROW_MALFORMED", ""),
        (6, "LOCATION_UNKNOWN", "location_id"),
        (7, "STOCK_CHANGED", ""),
        (9, "FIELD_INVALID", "on_hand"),
    ]
    assert done.json["refused"][-1]["message"] == "a count is missing; write a whole number such as 12"
    assert await shop.counters(sku) == (12, 0, 0)
    printed = await run("stock", "sync", file)
    assert printed.code == 1
    assert [row[:2] for row in rows(printed.out)[:2]] == [["2,", "7"], ["3", "NO-SUCH-SKU"]]
    assert printed.out.endswith(f"✗ {file}: 7 rows, 0 applied, 7 refused\n")


@pytest.mark.parametrize(
    "content", [None, "", "sku\nA\n", "sku,on_hand,delta\n", "sku,on_hand,colour\n", 'sku,on_hand\n"A,1\n']
)
async def test_a_file_that_is_no_such_csv(run: Run, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "count.csv"
    if content is not None:
        file.write_text(content)
    wrong = await run("stock", "sync", file)
    assert (wrong.code, wrong.out) == (2, "")
    assert "count.csv" in wrong.err


async def test_counts_as_a_spreadsheet_saves_them(shop: Shop, run: Run, sku: str, tmp_path: Path) -> None:
    file = tmp_path / "count.csv"
    file.write_bytes(f"SKU;On hand;Location ID\r\n{sku};12;main\r\n;;\r\n".encode("utf-16"))
    done = await run("stock", "sync", file, "--json")
    assert (done.code, done.json["rows"], done.json["applied"]) == (0, 1, 1)
    assert (done.json["encoding"], done.json["delimiter"]) == ("utf-16", "semicolon")
    assert await shop.counters(sku) == (12, 0, 0)


async def test_a_sync_that_is_only_a_dry_run(shop: Shop, run: Run, sku: str, tmp_path: Path) -> None:
    file = tmp_path / "count.csv"
    file.write_text(f"sku,on_hand\n{sku},12\n{sku},10\n{sku},3\nNO-SUCH-SKU,1\n")
    words = ("stock", "sync", file, "--dry-run")
    asked = await run(*words, "--json")
    assert (asked.code, asked.json["dry_run"], asked.json["applied"], asked.json["changed"]) == (1, True, 0, 3)
    assert [(each["line"], each["location_id"], each["before"], each["after"]) for each in asked.json["changes"]] == [
        *((2, "main", 10, 12), (3, "main", 12, 10), (4, "main", 10, 3)),
    ]
    printed = await run(*words)
    assert ["4", sku, "main", "10", "3", "-7"] in rows(printed.out.partition("Would be")[2])
    said = (
        "4 rows, 3 would change stock, 1 refused; 2 units more, 9 units less; nothing was written, this was a dry run"
    )
    assert printed.out.endswith(f"✗ {file}: {said}\n")
    assert await shop.counters(sku) == (10, 0, 0)


async def test_a_sync_that_is_repeated_with_its_request_id_does_nothing_twice(shop: Shop, run: Run, sku: str) -> None:
    words = ("stock", "sync", "-", "--request-id", str(uuid.uuid4()), "--reason", "received")
    for _ in range(2):
        done = await run(*words, stdin=f"sku,delta\n{sku},5\n")
        assert (done.code, done.out) == (0, "✓ -: 1 rows, 1 applied\n")
    assert await shop.counters(sku) == (15, 0, 0)


async def on_a_terminal(shop: Shop, *words: str, cwd: Path, text: str, seen: asyncio.Event) -> int:
    """Run it with a terminal as its stderr, which must show the text before it ends; the exit code."""
    terminal, end = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*MODULE, *words),
        env=clean_environment() | reaching(shop) | {"TERM": "xterm"},
        cwd=cwd,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    shown = ""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while part := await asyncio.to_thread(os.read, terminal, 4096):
            shown += part.decode()
            if text in shown:
                seen.set()
    os.close(terminal)
    assert seen.is_set(), shown
    return await process.wait()


async def test_long_work_shows_progress(shop: Shop, sku: str, tmp_path: Path) -> None:
    file = tmp_path / "count.csv"
    file.write_text("sku,on_hand\n" + f"{sku},12\n" * 2500)
    words = ("stock", "sync", str(file))
    assert await on_a_terminal(shop, *words, cwd=tmp_path, text="2500/2500", seen=asyncio.Event()) == 0


async def test_waiting_is_told(shop: Shop, sku: str, tmp_path: Path) -> None:
    """The row that the command wants is free again when it has said that it waits."""
    seen = asyncio.Event()
    words = ("stock", "receive", sku, "1")
    async with asyncio.TaskGroup() as group, locked(shop.pool, sku):
        told = group.create_task(on_a_terminal(shop, *words, cwd=tmp_path, text="Waiting for the server", seen=seen))
        await asyncio.wait_for(seen.wait(), 20)
    assert told.result() == 0


async def completed(shop: Shop, typed: str, cwd: Path) -> list[str]:
    """What bash offers after the words typed; the last one is to be completed."""
    words = typed.split(" ")
    offered = await stockward(
        cwd=cwd,
        program=SCRIPT,
        _STOCKWARD_COMPLETE="complete_bash",
        COMP_WORDS=" ".join(words),
        COMP_CWORD=str(len(words) - 1),
        **reaching(shop),
    )
    return offered.out.split()


async def test_a_shell_completes(shop: Shop, sku: str, tmp_path: Path) -> None:
    order = await shop.order(sku, reference=f"COMPLETE-{sku}")
    nouns, verbs, states, products, orders = await asyncio.gather(
        completed(shop, "stockward pro", tmp_path),
        completed(shop, "stockward orders f", tmp_path),
        completed(shop, "stockward orders list --state p", tmp_path),
        completed(shop, f"stockward stock show {sku}", tmp_path),
        completed(shop, "stockward orders show COMPLETE-", tmp_path),
    )
    assert (nouns, verbs) == (["products"], ["find", "fulfill"])
    assert states == ["pending", "processing", "partially_fulfilled"]
    assert sku in products
    assert orders == [order.reference]


async def test_completion_can_be_installed(tmp_path: Path) -> None:
    in_bash = ("bash", "-c", f'{SCRIPT[0]} "$@"; exit', "bash")  # it asks which shell it was started from
    installed = await stockward("--install-completion", cwd=tmp_path, program=in_bash, HOME=str(tmp_path))
    assert (installed.code, "completion installed" in installed.out) == (0, True), installed
    assert "stockward" in (tmp_path / ".bashrc").read_text()


async def test_a_reader_that_has_read_enough(shop: Shop, tmp_path: Path) -> None:
    for words in (("events", "list"), ("events", "list", "--json")):
        reading, writing = os.pipe()
        os.close(reading)
        process = await asyncio.create_subprocess_exec(
            *(*MODULE, *words),
            env=clean_environment() | reaching(shop),
            cwd=tmp_path,
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writing)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert b"Broken" not in err
        assert b"Traceback" not in err


# What docs/how-to/pms/command-line.md shows.


def shown(index: int) -> str:
    """One of the shell blocks of the page."""
    page = (Path(__file__).resolve().parents[2] / "docs/how-to/pms/command-line.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return blocks[index]


async def test_the_day_of_the_page(run: Run) -> None:
    said = []
    for line in shown(0).splitlines():
        if line and not line.startswith("#"):
            program, *words = shlex.split(line)
            done = await run(*words)
            assert (program, done.code) == ("stockward", 0), (line, done.err)
            said.append(done.out)
    assert ["MUG-BLUE", "main", "8", "0", "0", "0", "8", "0", "0"] in rows(said[-2])
    assert "fulfilled" in said[-3]


@pytest.mark.long
@pytest.mark.parametrize(("block", "said"), [(1, "Replayed"), (2, "2 applied, 1 refused"), (3, "units on hand")])
async def test_the_scripts_of_the_page(shop: Shop, run: Run, tmp_path: Path, block: int, said: str) -> None:
    """They end with the exit code that the page promises; on other goods than those of the day."""
    script = shown(block).replace("MUG-BLUE", "TEE-L").replace("MUG-BIG", "TEE-M")
    for sku in ("TEE-L", "TEE-M"):
        if (await run("products", "show", sku)).code:
            await shop.sell(sku, 3)
    path = f"{Path(SCRIPT[0]).parent}:{os.environ['PATH']}"
    done = await stockward(
        "-euo", "pipefail", "-c", script, cwd=tmp_path, program=("bash",), PATH=path, **reaching(shop)
    )
    assert (done.code, said in done.out) == (0, True), done.err
