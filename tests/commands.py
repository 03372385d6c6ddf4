"""Commands for a committer of one's own, without a server in between."""

from __future__ import annotations

import asyncio
import pickle
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.command import Command
from stockward_server.application.context import MutationContext, Role
from stockward_server.application.order_commands import CreateOrder, WantedCharge
from stockward_server.application.response_codec import ResponseCodec
from stockward_server.application.stock_commands import AdjustStock, HoldPolicy, ReserveStock
from stockward_server.domain.charge import ChargeKind
from stockward_server.domain.errors import DatabaseUnavailable, Refusal
from stockward_server.domain.money import Money
from stockward_server.domain.order import NO_CUSTOMER, PaymentTerms
from stockward_server.domain.pricing import WantedLine
from stockward_server.domain.stock import Adjustment, AdjustmentReason
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.read.stock_views import SqlStockViews
from stockward_server.storage.write.committer import Committer

NO_CHARGES: Mapping[ChargeKind, int] = {}
HOLDS = HoldPolicy(timedelta(minutes=15), timedelta(hours=24))


def request(request_id: str = "", *, role: Role = Role.PMS, **fields: Any) -> MutationContext:
    """A mutation by staff, with a request_id of its own unless one is given."""
    asked = {"actor": "staff", "method": "test", "fingerprint": b"", **fields}
    return MutationContext(role=role, request_id=request_id or str(uuid.uuid4()), **asked)


def buy(
    *lines: tuple[str, int],
    reservation_id: str | None = None,
    prepaid: bool = True,
    charges: Mapping[ChargeKind, int] = NO_CHARGES,
    cause: MutationContext | None = None,
) -> CreateOrder:
    """An order, of `lines` or of what is held; charges in cents."""
    return CreateOrder(
        cause=cause or request(),
        lines=[WantedLine(sku, quantity, f"lines[{i}]") for i, (sku, quantity) in enumerate(lines)],
        reservation_id=reservation_id,
        customer=NO_CUSTOMER,
        reference="",
        charges=[
            WantedCharge(kind, Money("EUR", amount), "", f"charges[{i}]")
            for i, (kind, amount) in enumerate(charges.items())
        ],
        terms=PaymentTerms.PREPAID if prepaid else PaymentTerms.ON_ACCOUNT,
        payment_allowance=timedelta(hours=1),
    )


def reserve(*lines: tuple[str, int], cause: MutationContext | None = None) -> ReserveStock:
    """A hold."""
    return ReserveStock(
        cause=cause or request(),
        wanted=dict(lines),
        paths={sku: f"lines[{i}].sku" for i, (sku, _) in enumerate(lines)},
        customer_id="",
        ttl=None,
        policy=HOLDS,
    )


def on(order_id: str) -> Any:
    """The fields that every command on an order has."""
    return {"cause": request(), "order_id": order_id}


def adjust(
    sku: str, delta: int, *, location_id: str = "main", note: str = "", cause: MutationContext | None = None
) -> AdjustStock:
    """Units received or lost."""
    return AdjustStock(
        cause=cause or request(),
        adjustment=Adjustment(sku, location_id, delta, None, None, AdjustmentReason.RECEIVED, note),
    )


def _as_result(result: Any) -> Any:
    """The result of a command; of rows that were refused their reasons, which can be compared."""
    if isinstance(result, list):
        return [each.reason if isinstance(each, Refusal) else each for each in result]
    return result


RESULT: ResponseCodec[Any, Any] = ResponseCodec(_as_result, pickle.dumps, pickle.loads)
"""Responses that are the results of commands themselves."""


class ResultCommitter(Committer):
    """A committer that responds with the results of commands, unless stated otherwise."""

    async def submit(
        self, command: Command[Any], codec: ResponseCodec[Any, Any] = RESULT, weight: int | None = None
    ) -> Any:
        return await super().submit(command, codec, weight)


@asynccontextmanager
async def committing(
    pool: Pool, *, queue_limit: int = 10_000, batch_limit: int = 2_000, **options: Any
) -> AsyncIterator[ResultCommitter]:
    """A committer, as each server process has one."""
    committer = ResultCommitter(pool, encode_event, queue_limit=queue_limit, batch_limit=batch_limit, **options)
    try:
        yield committer
    finally:
        await committer.close()


async def sell(pool: Pool, **units: int) -> None:
    """Publishes a product for each SKU, at 10.00 EUR, and puts so many units on hand at `main`."""
    product_ids = [str(uuid.uuid4()) for _ in units]
    await pool.execute(
        """
        INSERT INTO products (product_id, handle, title, description, vendor, product_type, tags, images, attributes,
                              state, create_time, update_time, version, search)
        SELECT id, id, sku, '', '', '', '{}', '[]'::jsonb, '{}'::jsonb, 2, now(), now(), 1, ''
        FROM unnest($1::uuid[], $2::text[]) AS n (id, sku)
        """,
        product_ids,
        list(units),
    )
    await pool.execute(
        """
        INSERT INTO variants (sku, product_id, position, title, currency, price, options, barcode, weight_grams,
                              image_url)
        SELECT sku, id, 1, '', 'EUR', 1000, '{}'::jsonb, '', 0, '' FROM unnest($1::uuid[], $2::text[]) AS n (id, sku)
        """,
        product_ids,
        list(units),
    )
    async with committing(pool) as committer:
        await asyncio.gather(*(committer.submit(adjust(sku, count)) for sku, count in units.items() if count))


async def acknowledged(committer: ResultCommitter, command: Command[Any]) -> Any:
    """Asks again, with the same request_id, until there is an answer, as a client does."""
    while True:
        try:
            return await committer.submit(command)
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)


async def counters(pool: Pool, sku: str, location_id: str = "main") -> tuple[int, int, int]:
    """on_hand, reserved, allocated."""
    row = await pool.fetchrow(
        "SELECT on_hand, reserved, allocated FROM stock WHERE sku = $1 AND location_id = $2", sku, location_id
    )
    assert row is not None
    return tuple(row)


async def orders(pool: Pool) -> list[str]:
    """The ids of all orders, oldest first."""
    return [row[0] for row in await pool.fetch("SELECT order_id::text FROM orders ORDER BY order_id")]


async def verify(pool: Pool) -> None:
    """Counters, ledger and open claims agree, and no event is missing from the versions of its aggregate."""
    await verify_counters(pool)
    assert not await gaps(pool)


async def verify_counters(pool: Pool) -> None:
    """Counters, ledger and open claims agree."""
    checked, discrepancies = await SqlStockViews(pool).verify(None)
    assert checked
    assert not discrepancies


async def gaps(pool: Pool, aggregate_ids: Sequence[str] | None = None) -> Sequence[object]:
    """Events whose version does not follow on that of the one before."""
    return await pool.fetch(
        """
        SELECT * FROM (SELECT aggregate_id, aggregate_version,
                              row_number() OVER (PARTITION BY aggregate_id ORDER BY seq) AS expected FROM events
                       WHERE $1::text[] IS NULL OR aggregate_id = ANY($1)) AS numbered
        WHERE aggregate_version <> expected
        """,
        aggregate_ids,
    )


@asynccontextmanager
async def locked(pool: Pool, sku: str) -> AsyncIterator[None]:
    """Holds the stock rows of a SKU: anyone who wants them waits."""
    async with transaction(pool) as connection:
        await connection.execute("SELECT FROM stock WHERE sku = $1 FOR UPDATE", sku)
        yield


async def waiting_for_locks(pool: Pool, count: int) -> bool:
    """Whether so many transactions of this database wait for a row."""
    waiting = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(waiting == count)
