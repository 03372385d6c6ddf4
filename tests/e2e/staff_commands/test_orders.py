"""`stockward orders`: each verb on a running server, as a person and as a script has it."""

from __future__ import annotations

import re
import uuid
from typing import Any

from google.protobuf import json_format

from tests.shop import Shop, money
from tests.staff_terminal import Both, Run, rows


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


async def test_a_reference_of_several_orders_names_none_of_them(run: Run, shop: Shop, sku: str) -> None:
    orders = [await shop.order(sku, reference=f"twice-{sku}") for _ in range(2)]
    for verb in ("show", "cancel"):
        refused = await run("orders", verb, f"twice-{sku}")
        assert (refused.code, refused.out) == (1, "")
        assert all(order.order_id in refused.err for order in orders)
    assert (await shop.counters(sku)) == (10, 0, 2)
