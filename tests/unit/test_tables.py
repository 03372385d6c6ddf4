"""What the command line prints: nothing that is one thing is broken over lines, however narrow the terminal is."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from rich.console import Console, RenderableType
from rich.text import Text
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.cells import amount_of, local_time
from stockward_server.commands.order_answer import OrderAnswer
from stockward_server.commands.order_card import next_step, order_card, timeline_table
from stockward_server.commands.tables import listed, show

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def stamp(**ago: float) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(NOW - timedelta(**ago))
    return made


def eur(units: int, nanos: int = 0) -> Money:
    return Money(currency_code="EUR", units=units, nanos=nanos)


def order(number: int = 1, state: Any = pb.Order.STATE_PENDING, **fields: Any) -> pb.Order:
    values: dict[str, Any] = {
        "order_id": f"0193aaaa-0000-7000-8000-{number:012}",
        "reference": f"WEB-{number}",
        "state": state,
        "customer": pb.Customer(customer_id="c7", name="Ada King, Countess of Lovelace", email="ada@shop.example"),
        "lines": [
            pb.OrderLine(
                line_number=1, sku="MUG-BLUE", title="Blue mug, dishwasher-safe", quantity=2, unit_price=eur(12)
            ),
            pb.OrderLine(line_number=2, sku="TEE-L", title="T-shirt", quantity=1, unit_price=eur(19, 900_000_000)),
        ],
        "charges": [pb.Charge(kind=pb.Charge.KIND_SHIPPING, amount=eur(4), description="Parcel")],
        "totals": pb.Totals(subtotal=eur(43, 900_000_000), total=eur(47, 900_000_000), net=eur(47, 900_000_000)),
        "payment": pb.Payment(state=pb.Payment.STATE_PENDING, still_to_pay=eur(47, 900_000_000)),
        "payment_terms": pb.PAYMENT_TERMS_PREPAID,
        "payment_due_time": stamp(hours=-1),
        "create_time": stamp(days=number),
        "update_time": stamp(hours=number),
    }
    return pb.Order(**values | fields)


def printed(what: RenderableType, width: int) -> str:
    """`what` on a terminal of that width; it must not be wider."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, no_color=True, _environ={})
    console.print(what)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    plain = Text.from_ansi(text).plain
    assert max(map(len, plain.splitlines())) <= width
    return plain


def on_terminal(rows: list[Any], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, no_color=True, _environ={})
    return printed(listed(rows, console), width)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_nothing_that_is_one_thing_is_broken(width: int) -> None:
    rows = [order(n, state) for n, state in enumerate(list(pb.Order.State.values())[1:], 1)]
    rows[2].payment.refund_due.CopyFrom(eur(1_000_000, 990_000_000))
    text = on_terminal(rows, width)
    for row in rows:
        for solid in (row.reference, amount_of(row.totals.net), local_time(row.create_time)):
            assert solid in text, f"{solid} in\n{text}"
        assert pb.Order.State.Name(row.state)[6:].lower() in text
    assert rows[0].order_id not in text, "an order is named by its reference"


def test_a_narrow_terminal_has_cards_and_a_wide_one_a_table() -> None:
    guest, paid = pb.Customer(email="someone@shop.example"), pb.Payment(state=pb.Payment.STATE_PAID)
    other = {"customer": guest, "lines": order().lines[1:], "totals": pb.Totals(net=eur(19)), "payment": paid}
    rows = [order(1), order(2, pb.Order.STATE_PARTIALLY_FULFILLED, **other)]
    assert on_terminal(rows, 80).splitlines()[0].split() == ["Order", "WEB-1"]
    assert on_terminal(rows, 200).splitlines()[1].split()[:2] == ["Order", "State"]


def test_columns_that_say_nothing_go() -> None:
    levels = [inventory.StockLevel(sku=f"S{n}", location_id="main", on_hand=n, available=n) for n in range(1, 4)]
    text = on_terminal(levels, 120)
    assert "All: location id main · reserved 0" in text
    assert "Reorder point" not in text
    assert text.splitlines()[1].split() == ["SKU", "On", "hand", "Available"]
    single = on_terminal(levels[:1], 120)
    assert "Location id" in single


def test_an_order_without_a_reference_is_named_by_its_id() -> None:
    text = on_terminal([order(1), order(2, reference="")], 200)
    assert order(2).order_id in text
    assert order(1).order_id not in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_card_of_an_order(width: int) -> None:
    shipped = order(
        state=pb.Order.STATE_PARTIALLY_FULFILLED,
        hold=pb.Hold(reason=pb.Hold.REASON_PAYMENT),
        fulfillments=[
            pb.Fulfillment(
                lines=[pb.FulfillmentLine(line_number=1, location_id="main", quantity=1)],
                carrier="DHL",
                tracking_number="00340434",
                create_time=stamp(minutes=5),
            )
        ],
    )
    shipped.lines[0].fulfilled = 1
    text = printed(order_card(shipped), width)
    for expected in (
        *("Order     WEB-1", f"Order id  {shipped.order_id}", "State     partially_fulfilled", "On hold   payment"),
        *("MUG-BLUE", "Shipped", "EUR 19.90", "Shipping      EUR 4.00  Parcel", "Still to pay  EUR 47.90"),
        f"{local_time(shipped.fulfillments[0].create_time)}  1 × MUG-BLUE from main; DHL 00340434",
    ):
        assert expected in text, f"{expected} in\n{text}"
    assert "Cancelled" not in text
    assert "Refund due" not in text


def test_the_card_has_what_staff_noted() -> None:
    noted = order(
        hold=pb.Hold(reason=pb.Hold.REASON_FRAUD, note="two cards", actor="pms", expire_time=stamp()),
        tags=["vip", "gift"],
        attributes={"lane": "4"},
        gift_note="Dear Ann",
        cancel_reason="changed her mind",
    )
    noted.lines[1].gift_note = "Blue"
    text = " ".join(printed(order_card(noted), 200).split())
    for expected in (
        f"On hold fraud, two cards, until {local_time(stamp())}, by pms",
        "Why cancelled changed her mind",
        "Tags vip, gift lane 4 Gift note Dear Ann Gift note 2 Blue",
    ):
        assert expected in text


@pytest.mark.parametrize("width", [60, 80])
def test_the_timeline_says_when_what_and_who(width: int) -> None:
    entries = [
        pb.OrderTimelineEntry(type="order.created", create_time=stamp(days=1), actor="storefront"),
        pb.OrderTimelineEntry(type="order.noted", create_time=stamp(hours=1), note="She called", actor="pms"),
        pb.OrderTimelineEntry(
            type="payment.updated",
            create_time=stamp(),
            payment=pb.PaymentReport(kind=pb.RecordPaymentRequest.KIND_CAPTURED, amount=eur(5), provider="manual"),
        ),
    ]
    text = printed(timeline_table(entries), width)
    for expected in (
        f"{local_time(entries[0].create_time)}  created          by storefront",
        f"{local_time(entries[1].create_time)}  noted            She called; by pms",
        f"{local_time(entries[2].create_time)}  payment updated  EUR 5.00 captured",
    ):
        assert expected in text, f"{expected} in\n{text}"


@pytest.mark.parametrize("count", [0, 10, 12])
def test_the_newest_of_the_timeline_are_on_the_card(capsys: pytest.CaptureFixture[str], count: int) -> None:
    entries = [pb.OrderTimelineEntry(type="order.noted", note=f"note {n}.") for n in range(count)]
    OrderAnswer(order(), entries).show(as_json=False)
    shown = capsys.readouterr().out
    assert [n for n in range(count) if f"note {n}." in shown] == list(range(max(0, count - 10), count))
    assert ("Timeline" in shown, "without the first 2" in shown) == (count > 0, count == 12)


def test_the_next_step_is_what_the_state_of_an_order_says() -> None:
    paid = pb.Payment(state=pb.Payment.STATE_PAID)
    due = pb.Payment(state=pb.Payment.STATE_PAID, refund_due=eur(5))
    steps = {
        "When it is paid: stockward orders pay 'A 1'": order(),
        "Start to prepare it: stockward orders process 'A 1'": order(payment=paid),
        "Once it is shipped: stockward orders fulfill 'A 1'": order(state=pb.Order.STATE_PROCESSING, payment=paid),
        "Refund due, EUR 5.00. Once it is paid back: stockward orders refund 'A 1'": order(
            state=pb.Order.STATE_CANCELLED, payment=due
        ),
        "On hold (payment): stockward orders pay 'A 1'": order(hold=pb.Hold(reason=pb.Hold.REASON_PAYMENT)),
        "On hold (fraud): stockward orders release 'A 1'": order(
            hold=pb.Hold(reason=pb.Hold.REASON_FRAUD, actor="pms")
        ),
        "": order(state=pb.Order.STATE_FULFILLED, payment=paid),
    }
    assert {next_step(each, "A 1"): each for each in steps.values()} == steps
    on_account = order(payment_terms=pb.PAYMENT_TERMS_ON_ACCOUNT)
    assert next_step(on_account, "A-1") == "Start to prepare it: stockward orders process A-1"


def test_csv_is_for_spreadsheets(capsys: pytest.CaptureFixture[str]) -> None:
    evil = pb.Customer(name='=HYPERLINK("https://x")')
    show(pb.ListOrdersResponse(orders=[order(1), order(2, customer=evil)]), as_json=False, as_csv=True)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split(",")[:4] == ["order_id", "reference", "state", "hold.reason"]
    assert "totals.net,totals.net.currency" in head
    assert "47.90,EUR" in first
    assert "2026-11-30T08:30:00+00:00" in first
    assert "\"'=HYPERLINK(" in second
