"""Orders that were made without shares of charges: no figure of them changes, and open ones go on by the new rules."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from stockward_dev import Postgres
from stockward_server.domain.charge import ChargeKind
from stockward_server.domain.order import UNPAID_HOLD, Order, OrderState
from stockward_server.domain.order_steps import decide_cancellation, decide_order_expiry, decide_return
from stockward_server.domain.payment import PaymentKind, PaymentState
from stockward_server.storage import database as storage
from stockward_server.storage.database import MIGRATIONS, Connection
from stockward_server.storage.order_rows import load_orders

pytestmark = pytest.mark.long

NEW = "0009_money"
NOW = datetime.now(UTC)
SHIPPING, TAX, DISCOUNT = ChargeKind.SHIPPING, ChargeKind.TAX, ChargeKind.DISCOUNT
PENDING, PROCESSING, PARTIALLY_FULFILLED, FULFILLED, CANCELLED, EXPIRED = OrderState
CAPTURED, AUTHORIZED, REFUNDED = PaymentKind.CAPTURED, PaymentKind.AUTHORIZED, PaymentKind.REFUNDED


@pytest.fixture(params=["before the migration", "after it, by a server of the release before"])
async def former(postgres: Postgres, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    """A database to fill as the release before did; `migrated` brings it up to date."""
    url = await postgres.create_database("former")
    for path in MIGRATIONS.glob("*.sql"):
        if path.stem < NEW:
            shutil.copy(path, tmp_path)
    await storage.migrate(url, MIGRATIONS if request.param.startswith("after") else tmp_path)
    connection = await asyncpg.connect(url)
    await storage.prepare_connection(connection)
    yield connection
    await connection.close()
    await postgres.drop_database("former")


async def migrated(connection: Connection, order_id: str, postgres: Postgres) -> Order:
    """The order as it is read once the schema is up to date."""
    await storage.migrate(postgres.url("former"))
    await connection.reload_schema_state()
    return (await load_orders(connection, [order_id]))[order_id]


async def insert(
    connection: Connection,
    state: OrderState,
    *lines: tuple[int, int, int, int, int],
    charges: list[tuple[ChargeKind, int]],
    payments: list[tuple[PaymentKind, int]] = [],  # noqa: B006
) -> str:
    """An order by the statements of the release before; lines of (units, price, fulfilled, cancelled, returned)."""
    order_id = str(uuid.uuid4())
    sums = {kind: sum(amount for each, amount in payments if each is kind) for kind in PaymentKind}
    await connection.execute(
        """
        INSERT INTO orders (order_id, state, currency, payment_terms, payment_due_time, authorized, captured, refunded,
                            charges, customer_id, reference, create_time, update_time, version)
        VALUES ($1, $2, 'EUR', 1, now() - interval '1 day', $3, $4, $5, $6, '', '', now(), now(), 1)
        """,
        *(order_id, state, sums[AUTHORIZED], sums[CAPTURED], sums[REFUNDED]),
        [[kind, amount, ""] for kind, amount in charges] or None,
    )
    await connection.executemany(
        """
        INSERT INTO order_lines (order_id, line_number, sku, title, quantity, unit_price, price_override_reason,
                                 fulfilled, cancelled, returned)
        VALUES ($1, $2, 'S' || $2::int, '', $3, $4, '', $5, $6, $7)
        """,
        [(order_id, number, *line) for number, line in enumerate(lines, 1)],
    )
    for n, (kind, amount) in enumerate(payments):
        await connection.execute(
            "INSERT INTO payments (provider, provider_event_id, order_id, kind, amount, event_time, create_time) "
            "VALUES ('bank', $1, $2, $3, $4, now(), now())",
            *(f"{order_id} {n}", order_id, kind, amount),
        )
    return order_id


async def test_an_open_order_shares_its_charges_from_now_on(former: Connection, postgres: Postgres) -> None:
    order_id = await insert(
        former,
        PROCESSING,
        (3, 10000, 0, 1, 0),
        charges=[(DISCOUNT, 3000), (SHIPPING, 490)],
        payments=[(CAPTURED, 27490)],
    )
    order = await migrated(former, order_id, postgres)
    amounts = order.amounts
    assert (amounts.total, amounts.cancelled, amounts.net) == (27490, 10000, 17490), "as before"
    assert (order.lines[0].shares.discount, order.refund_due, order.hold) == (3000, 10000, None)
    fewer, _ = decide_cancellation(order, {1: 1}, "", NOW)
    assert (fewer.amounts.cancelled, fewer.amounts.net) == (10000 + 8500, 8990)


async def test_a_partly_shipped_order_gives_its_tax_back_with_the_goods(former: Connection, postgres: Postgres) -> None:
    order_id = await insert(former, PARTIALLY_FULFILLED, (2, 1000, 1, 0, 0), (1, 0, 0, 0, 0), charges=[(TAX, 400)])
    order = await migrated(former, order_id, postgres)
    returned, _ = decide_return(order, {1: 1}, {}, "main", "", NOW)
    assert (order.amounts.net, returned.amounts.returned) == (2400, 1200)


@pytest.mark.parametrize(
    ("state", "line", "net", "refund_due"),
    [
        (FULFILLED, (3, 10000, 3, 0, 1), 17490, 10000),
        (FULFILLED, (3, 10000, 3, 0, 3), 0, 27490),
        (CANCELLED, (3, 10000, 0, 3, 0), 0, 27490),
        (EXPIRED, (3, 10000, 0, 0, 0), 0, 27490),
    ],
)
async def test_an_order_that_is_over_keeps_its_figures(
    former: Connection,
    postgres: Postgres,
    state: OrderState,
    line: tuple[int, int, int, int, int],
    net: int,
    refund_due: int,
) -> None:
    order_id = await insert(
        former, state, line, charges=[(DISCOUNT, 3000), (SHIPPING, 490)], payments=[(CAPTURED, 27490)]
    )
    order = await migrated(former, order_id, postgres)
    assert (order.amounts.total, order.amounts.net, order.refund_due) == (27490, net, refund_due)
    assert (order.amounts.cancelled, order.amounts.returned) == (line[3] * 10000, line[4] * 10000)
    assert (order.payment_state, order.lines[0].shares.discount) == (PaymentState.PAID, 0)


async def test_payments_are_summed_from_their_rows(former: Connection, postgres: Postgres) -> None:
    payments = [(AUTHORIZED, 2000), (CAPTURED, 2000), (REFUNDED, 500)]
    order_id = await insert(former, PENDING, (2, 1000, 0, 0, 0), charges=[], payments=payments)
    order = await migrated(former, order_id, postgres)
    assert (order.payment.captured, order.payment.refunded, order.terms_met, order.hold) == (2000, 500, True, None)
    assert decide_order_expiry(order, NOW) is None


async def test_a_lapsed_authorization_is_on_hold(former: Connection, postgres: Postgres) -> None:
    payments = [(AUTHORIZED, 2000), (PaymentKind.VOIDED, 2000)]
    order_id = await insert(former, PROCESSING, (2, 1000, 0, 0, 0), charges=[], payments=payments)
    assert (await migrated(former, order_id, postgres)).hold is UNPAID_HOLD
