"""`stockward stock`: each verb on a running server, as a person and as a script has it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.staff_terminal import Both, Run, rows


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


async def test_the_counters_as_they_were(both: Both, run: Run, sku: str) -> None:
    await both("stock", "receive", sku, "5")
    printed, now = await both("stock", "counters", sku)
    assert [(each["onHand"], each["reserved"], each["allocated"]) for each in now["moments"]] == [("15", "0", "0")]
    assert rows(printed)[0][-3:] == ["15", "0", "0"]
    printed, days = await both("stock", "counters", sku, "--every", "day", "--location", "main")
    assert [each["onHand"] for each in days["moments"]] == [*["0"] * 30, "15"]
    assert [row[-3] for row in rows(printed)] == [*["0"] * 30, "15"]
    refused = await run("stock", "counters", sku, "--since", "2026-01-01T00:00:00Z")
    assert (refused.code, "interval" in refused.err) == (1, True)


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
