"""`stockward customers`: what is stored about a customer is reported, and gone when it is erased; the books stay."""

from __future__ import annotations

import asyncio
import io
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as pb

from stockward_server.config import Settings
from stockward_server.observability import logs
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.write.retention import delete_expired_contacts
from tests.commands import waiting_for_locks
from tests.events import until
from tests.issuer import Issuer
from tests.shop import Callers, Shop, callers, running_shop
from tests.terminal import Outcome, in_process

Run = Callable[..., Awaitable[Outcome]]

ADA = pb.Customer(
    customer_id="ada-1815",
    email="ada@loom.example",
    name="Ada Lovelace",
    shipping_address=pb.Address(recipient="Ada Lovelace", lines=["Dorset Street 1"], city="London", country_code="GB"),
)
BOB = pb.Customer(customer_id="ada-18", email="bob@loom.example", name="Bob")
"""Whose id is part of hers."""

PERSONAL = (b"ada@loom.example", b"Ada Lovelace", b"Dorset Street", b"ada-1815")


@pytest.fixture
def run(database_url: str) -> Run:
    async def run(*arguments: str, url: str = database_url) -> Outcome:
        return await in_process("customers", *arguments, DATABASE_URL=url)

    return run


async def order(shop: Shop, customer: pb.Customer, request_id: str = "") -> pb.Order:
    return await shop.order("TEE", customer=customer, reference="A-1", request_id=request_id)


async def hold(shop: Shop) -> inventory.Reservation:
    held: inventory.Reservation = await shop.storefront.inventory.ReserveStock(
        inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="TEE", quantity=1)], customer_id=ADA.customer_id)
    )
    return held


async def cancel(shop: Shop, order: pb.Order) -> None:
    await shop.pms.orders.CancelOrder(pb.CancelOrderRequest(order_id=order.order_id))


async def found_in(pool: Pool, *texts: bytes) -> list[bytes]:
    """Which of hers, or of the texts, stand in any row of any table, as text or in bytes."""
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [str(row[0]).encode() for each in tables for row in await pool.fetch(f"SELECT t::text FROM {each[0]} t")]
    stored = await pool.fetch("SELECT payload FROM events UNION ALL SELECT response FROM idempotency")
    everything = b"\n".join([*rows, *(row[0] for row in stored)])
    return [each for each in texts or PERSONAL if each in everything]


async def test_notes_go_with_the_customer(run: Run, shop: Shop) -> None:
    await shop.sell("TEE", 20)
    hers = await order(shop, ADA)
    line = pb.UpdateOrderRequest.LineGiftNote(line_number=1, gift_note="Your Countess")
    update = pb.UpdateOrderRequest(order_id=hers.order_id, gift_note="Dear Charles", line_gift_notes=[line])
    await shop.pms.orders.UpdateOrder(update)
    note = pb.AddOrderNoteRequest(order_id=hers.order_id, note="Babbage called")
    await shop.pms.orders.AddOrderNote(note)
    await cancel(shop, hers)
    notes = b"Dear Charles", b"Your Countess"
    assert await found_in(shop.pool, *notes) == list(notes)
    assert (await run("erase", ADA.customer_id, "--yes")).code == 0
    assert not await found_in(shop.pool, *PERSONAL, *notes)
    (noted,) = await shop.pool.fetch("SELECT note FROM order_timeline WHERE type = 'order.noted'")
    assert noted["note"] == ""


async def test_what_was_written_about_a_return_goes_with_the_customer(run: Run, shop: Shop) -> None:
    await shop.sell("TEE", 20)
    hers = await shop.pay(await order(shop, ADA))
    await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=hers.order_id))
    await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=hers.order_id))
    announced = await shop.pms.orders.AnnounceReturn(
        pb.AnnounceReturnRequest(
            order_id=hers.order_id,
            lines=[pb.LineQuantity(line_number=1, quantity=1)],
            reason="Babbage is ill",
            note="Lovelace called",
            label_url="https://labels.example/ada",
        )
    )
    ids: Any = {"order_id": hers.order_id, "return_id": announced.returns[0].return_id}
    await shop.pms.orders.WithdrawReturn(pb.WithdrawReturnRequest(**ids, reason="Babbage is well"))
    written = b"Babbage is ill", b"Lovelace called", b"labels.example/ada", b"Babbage is well"
    assert await found_in(shop.pool, *written) == list(written)
    assert (await run("erase", ADA.customer_id, "--yes")).code == 0
    assert not await found_in(shop.pool, *written)


async def test_a_customer_is_told_and_erased_and_the_books_stay(run: Run, shop: Shop) -> None:
    await shop.sell("TEE", 20)
    request_id = str(uuid.uuid4())
    hers = [await order(shop, ADA, request_id), await order(shop, ADA)]
    his = await order(shop, BOB)
    for each in (*hers, his):
        await cancel(shop, each)
    held = await hold(shop)
    await shop.storefront.inventory.ReleaseReservation(
        inventory.ReleaseReservationRequest(reservation_id=held.reservation_id)
    )
    before = await shop.pool.fetch("SELECT * FROM movements ORDER BY movement_id")
    whole = await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=hers[0].order_id))
    assert await found_in(shop.pool) == list(PERSONAL)

    told = (await run("export", ADA.customer_id)).json
    assert [each["orderId"] for each in told["orders"]] == sorted(each.order_id for each in hers)
    assert told["orders"][0]["customer"]["shippingAddress"]["lines"] == ["Dorset Street 1"]
    assert [(each["reservationId"], each["state"]) for each in told["reservations"]] == [
        (held.reservation_id, "STATE_RELEASED")
    ]

    looked = await run("erase", ADA.customer_id, "--json")
    found = {"orders": 2, "events": 4, "reservations": 1, "answers": 6, "open_orders": [], "open_reservations": []}
    assert looked.json == {"customer_id": ADA.customer_id, "erased": False, **found}
    assert await found_in(shop.pool) == list(PERSONAL), "it only looked"

    done = await run("erase", ADA.customer_id, "--yes", "--json")
    assert (done.code, done.json) == (0, {"customer_id": ADA.customer_id, "erased": True, **found})
    assert not await found_in(shop.pool)
    assert await found_in(shop.pool, b"bob@loom.example")

    after = await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=hers[0].order_id))
    assert not after.HasField("customer")
    after.customer.CopyFrom(whole.customer)
    assert after == whole, "nothing else changed"
    again = await order(shop, ADA, request_id)
    assert again.order_id == hers[0].order_id, "a repetition is still known"
    assert not again.HasField("customer")
    assert await shop.pool.fetch("SELECT * FROM movements ORDER BY movement_id") == before
    await shop.verify()
    assert (await run("erase", ADA.customer_id, "--yes", "--json")).json["orders"] == 0
    assert (await run("export", BOB.customer_id)).json["orders"][0]["customer"]["name"] == "Bob"


@contextmanager
def written() -> Iterator[io.StringIO]:
    """What is logged meanwhile, at every level, as `json`."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logs.JsonLines())
    handler.addFilter(logs.prepare)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@asynccontextmanager
async def called_by_token(settings: Settings, folder: Path, **claims: Any) -> AsyncIterator[tuple[Shop, Callers]]:
    """A shop that takes customers' tokens, and the stubs of the one with these claims."""
    issuer = Issuer()
    issuer.add("key", "ES256")
    urls = settings.database_url.get_secret_value(), settings.event_queue_url.get_secret_value()
    async with running_shop(issuer.settings(folder, *urls)) as shop:
        stubs = callers(shop.address, issuer.token("key", role="storefront", **claims))
        yield shop, stubs
        await stubs.channel.close()


async def test_nothing_is_left_of_the_subject_of_a_customer_s_token(
    run: Run, settings: Settings, tmp_path: Path
) -> None:
    with written() as log:
        async with called_by_token(settings, tmp_path, sub=ADA.email, customer_id=ADA.customer_id) as (shop, ada):
            await shop.sell("TEE", 20)
            wanted = pb.CreateOrderRequest(
                lines=[pb.CreateOrderRequest.Line(sku="TEE", quantity=1)], customer=ADA, request_id=str(uuid.uuid4())
            )
            made = await ada.orders.CreateOrder(wanted)
            line = inventory.StockLine(sku="TEE", quantity=1)
            held = await ada.inventory.ReserveStock(inventory.ReserveStockRequest(lines=[line]))
            await ada.inventory.ReleaseReservation(
                inventory.ReleaseReservationRequest(reservation_id=held.reservation_id)
            )
            await ada.orders.CancelOrder(pb.CancelOrderRequest(order_id=made.order_id))
            actors = "SELECT DISTINCT actor FROM movements WHERE reference = ANY($1::text[])"
            hers = [made.order_id, held.reservation_id]
            assert [row[0] for row in await shop.pool.fetch(actors, hers)] == ["customer"]

            assert (await run("erase", ADA.customer_id, "--yes")).code == 0
            assert not await found_in(shop.pool)
            again = await ada.orders.CreateOrder(wanted)
            assert again.order_id == made.order_id, "a repetition is still known"
    assert '"actor": "customer"' in log.getvalue()
    assert ADA.email not in log.getvalue()


async def test_open_orders_keep_their_customer_and_are_named(run: Run, shop: Shop) -> None:
    await shop.sell("TEE", 20)
    done, waiting = await order(shop, ADA), await order(shop, ADA)
    await cancel(shop, done)
    held = await hold(shop)

    outcome = await run("erase", ADA.customer_id, "--yes")
    assert outcome.code == 1
    assert f"order {waiting.order_id} is open" in outcome.err
    assert f"reservation {held.reservation_id} is open" in outcome.err
    kept = await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=waiting.order_id))
    assert kept.customer == ADA

    await cancel(shop, waiting)
    await shop.storefront.inventory.ReleaseReservation(
        inventory.ReleaseReservationRequest(reservation_id=held.reservation_id)
    )
    assert (await run("erase", ADA.customer_id, "--yes")).code == 0
    assert not await found_in(shop.pool)


async def test_an_order_that_a_late_payment_revives_meanwhile_keeps_its_customer(run: Run, shop: Shop) -> None:
    await shop.sell("TEE", 20)
    late, gone = await order(shop, ADA), await order(shop, ADA)
    hers = [late.order_id, gone.order_id]
    await shop.pool.execute("UPDATE orders SET payment_due_time = now() WHERE order_id = ANY($1::uuid[])", hers)

    async def state(order: pb.Order) -> str:
        found = await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id))
        return pb.Order.State.Name(found.state)

    async def are_expired() -> bool:
        return [await state(late), await state(gone)] == ["STATE_EXPIRED"] * 2

    await until(are_expired)
    async with transaction(shop.pool) as connection:  # the row goes to those who wait in the order in which they came
        await connection.execute("SELECT FROM orders WHERE order_id = $1 FOR UPDATE", late.order_id)
        paying = asyncio.create_task(shop.pay(late))
        await until(lambda: waiting_for_locks(shop.pool, 1))
        erasing = asyncio.ensure_future(run("erase", ADA.customer_id, "--yes", "--json"))
        await until(lambda: waiting_for_locks(shop.pool, 2))
    await paying
    outcome = await erasing

    assert await state(late) == "STATE_PROCESSING"
    assert (await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=late.order_id))).customer == ADA
    assert not (await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=gone.order_id))).HasField("customer")
    assert (outcome.code, outcome.json["orders"], outcome.json["open_orders"]) == (1, 1, [late.order_id])


async def test_what_cannot_be_done_is_said(run: Run, database_url: str) -> None:
    assert (await run("erase", "nobody", "--json")).json["orders"] == 0
    assert (await run("erase", "")).code == 2
    away = await run("erase", "ada", url="postgresql://stockward@127.0.0.1:1/none")
    assert away.code == 3
    assert "cannot be reached" in away.err


async def test_contacts_of_orders_that_are_over_go_after_their_time(shop: Shop, settings: Settings) -> None:
    await shop.sell("TEE", 20)
    over, waiting, fresh = [await order(shop, ADA) for _ in range(3)]
    for each in (over, fresh):
        await cancel(shop, each)
    await shop.pool.execute(
        "UPDATE orders SET update_time = now() - interval '31 days' WHERE order_id = ANY($1::uuid[])",
        [over.order_id, waiting.order_id],
    )
    assert await delete_expired_contacts(shop.pool, 30) == 1
    kept = await shop.pool.fetch("SELECT order_id::text FROM order_contacts ORDER BY order_id")
    assert [row[0] for row in kept] == sorted([waiting.order_id, fresh.order_id])
    assert settings.contact_retention_days is None, "nothing goes unless it is asked for"
