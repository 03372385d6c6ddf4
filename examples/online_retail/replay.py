"""A month on its way through the services, as staff.

Stock codes become SKUs, in upper case, and every SKU begins with the same units on hand. An invoice (or a part of it,
where it has more lines than an order may have) becomes an order on account at the invoice's prices, processed and
fulfilled. A cancellation becomes returns of that customer's orders while units of them remain, and otherwise goods that
came back without an order. A return is announced, and received in two parts where it has several units; the order gets
a note. One order in ten is placed with a unit too many, and edited before it is processed.

Every request_id is derived from the file, so that a run that was interrupted is simply started again.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from google.type.money_pb2 import Money
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

from examples.online_retail.month import Invoice, Month
from stockward_client import AsyncStockward, error_of
from stockward_server.commands.connection import describe

OPENING = 100_000
"""Units of each SKU when the month begins."""

CURRENCY = "GBP"
PRODUCTS_AT_ONCE = 500
ORDERS_AT_ONCE = 50
CALLS_AT_ONCE = 32

_REQUESTS = uuid.UUID("6cb4b0f6-53c5-5d0a-9f0e-6f1d0a7c2b10")

Item = TypeVar("Item")
Result = TypeVar("Result")
Advance = Callable[[str, int, int], None]
"""Called with what is being done, how far it is, and of how much."""


class Refused(Exception):
    """The system refused what it should have taken; the message says what and why."""


@dataclass(slots=True)
class Played:
    """What was done."""

    orders: int = 0
    longest_order: int = 0
    """Lines, of the order that has most."""
    units_sold: int = 0
    cancellations: int = 0
    edits: int = 0
    """Orders that were placed with a unit too many, and edited."""
    returns: int = 0
    """Announced and received."""
    units_returned: int = 0
    """Returned to the order that they were sold with."""
    units_without_order: int = 0
    """Came back, and no order of the month is known for them."""


@dataclass(slots=True)
class _Sold:
    """Units of an order that did not come back yet."""

    order_id: str
    line_number: int
    units: int


class Replay:
    """One month, played once."""

    def __init__(self, client: AsyncStockward, month: Month, advance: Advance) -> None:
        self._client = client
        self._month = month
        self._advance = advance
        self._played = Played()
        self._sold: defaultdict[tuple[str, str], list[_Sold]] = defaultdict(list)
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def run(self) -> Played:
        """Play it. Raises StockwardError or Refused where the system does not take what it should."""
        await self._import_catalogue()
        await self._receive_opening_stock()
        waiting: list[Invoice] = []
        for number, invoice in enumerate(self._month.invoices, start=1):
            if not invoice.is_cancellation:
                waiting.append(invoice)
            if invoice.is_cancellation or len(waiting) == ORDERS_AT_ONCE:
                await self._sell(waiting)
                waiting = []
            if invoice.is_cancellation:
                await self._take_back(invoice)
            self._advance("Invoices", number, len(self._month.invoices))
        await self._sell(waiting)
        return self._played

    async def _import_catalogue(self) -> None:
        skus = sorted(self._month.prices)
        for part in _parts(skus, PRODUCTS_AT_ONCE):
            rows = [
                catalog_pb2.ImportProductsRequest(product=self._product(sku), request_id=_id("import", sku))
                for sku in part
            ]
            results = (await self._client.catalog.import_products(rows)).results
            for sku, result in zip(part, results, strict=True):
                _require_taken(sku, result)
            await self._side_by_side(
                self._client.catalog.publish_product(product_id=result.product_id, request_id=_id("publish", sku))
                for sku, result in zip(part, results, strict=True)
            )
            self._advance("Catalogue", skus.index(part[-1]) + 1, len(skus))

    def _product(self, sku: str) -> catalog_pb2.Product:
        title = self._month.titles[sku] or sku
        handle = "online-retail-" + re.sub(r"[^a-z0-9]+", "-", sku.lower()).strip("-")
        variant = catalog_pb2.Variant(sku=sku, price=_money(self._month.prices[sku]))
        return catalog_pb2.Product(handle=handle, title=title, vendor="Online Retail", variants=[variant])

    async def _receive_opening_stock(self) -> None:
        skus = sorted(self._month.prices)
        parts = list(_parts(skus, 1000))
        requests = (
            inventory_pb2.SyncStockRequest(
                rows=[inventory_pb2.SyncStockRequest.Row(sku=sku, on_hand=OPENING) for sku in part],
                reason=inventory_pb2.ADJUSTMENT_REASON_COUNTED,
                reference="opening stock",
                request_id=_id("opening", part[0]),
            )
            for part in parts
        )
        answers = [answer async for answer in self._client.inventory.sync_stock(requests)]
        for part, answer in zip(parts, answers, strict=True):
            self._advance("Opening stock", skus.index(part[-1]) + 1, len(skus))
            for sku, result in zip(part, answer.results, strict=True):
                _require_taken(sku, result)

    async def _sell(self, invoices: Sequence[Invoice]) -> None:
        """Order, process and fulfil."""
        if not invoices:
            return
        orders = self._client.orders
        results = (await orders.batch_create_orders(requests=[self._order(invoice) for invoice in invoices])).results
        for invoice, result in zip(invoices, results, strict=True):
            _require_taken(invoice.number, result)
        created = [result.order for result in results]
        await self._correct(zip(invoices, created, strict=True))
        await self._side_by_side(
            orders.process_order(order_id=order.order_id, request_id=_id("process", order.reference))
            for order in created
        )
        fulfilled = await self._side_by_side(
            orders.fulfill_order(order_id=order.order_id, request_id=_id("fulfill", order.reference))
            for order in created
        )
        for order in fulfilled:
            self._played.orders += 1
            self._played.longest_order = max(self._played.longest_order, len(order.lines))
            self._played.units_sold += sum(line.fulfilled for line in order.lines)
            for line in order.lines:
                sold = _Sold(order.order_id, line.line_number, line.fulfilled)
                self._sold[order.customer.customer_id, line.sku].append(sold)

    async def _correct(self, placed: Iterable[tuple[Invoice, order_pb2.Order]]) -> None:
        """Take the unit too many out of the orders that have one."""
        corrected = await self._side_by_side(
            self._client.orders.edit_order_lines(
                order_id=order.order_id,
                changes=[
                    order_pb2.EditOrderLinesRequest.Change(line_number=1, quantity=order.lines[0].quantity - 1),
                ],
                request_id=_id("edit", invoice.number),
            )
            for invoice, order in placed
            if _is_edited(invoice)
        )
        self._played.edits += len(corrected)

    def _order(self, invoice: Invoice) -> order_pb2.CreateOrderRequest:
        """An order at the invoice's prices.

        An order has one price a SKU. Where an invoice has several it is the highest, and a discount for the rest.
        """
        prices: dict[str, int] = {}
        for line in invoice.lines:
            prices[line.sku] = max(line.pence, prices.get(line.sku, 0))
        discount = sum((prices[line.sku] - line.pence) * line.units for line in invoice.lines)
        request = order_pb2.CreateOrderRequest(
            customer=order_pb2.Customer(customer_id=invoice.customer),
            reference=invoice.number,
            payment_terms=order_pb2.PAYMENT_TERMS_ON_ACCOUNT,
            request_id=_id("order", invoice.number),
        )
        for line in invoice.lines:
            wanted = request.lines.add(sku=line.sku, quantity=line.units)
            if prices[line.sku] != self._month.prices[line.sku]:
                wanted.unit_price_override.CopyFrom(_money(prices[line.sku]))
                wanted.price_override_reason = f"price on invoice {invoice.number}"
        if _is_edited(invoice):
            request.lines[0].quantity += 1
        if discount:
            request.charges.add(
                kind=order_pb2.Charge.KIND_DISCOUNT, amount=_money(discount), description="lower price of some units"
            )
        return request

    async def _take_back(self, invoice: Invoice) -> None:
        """Return what the customer's orders still have, the latest first; book in the rest."""
        returns: defaultdict[str, Counter[int]] = defaultdict(Counter)
        homeless: list[tuple[str, int]] = []
        self._played.cancellations += 1
        for line in invoice.lines:
            missing = line.units
            for sold in reversed(self._sold[invoice.customer, line.sku] if invoice.customer else []):
                if units := min(sold.units, missing):
                    sold.units -= units
                    missing -= units
                    self._played.units_returned += units
                    returns[sold.order_id][sold.line_number] += units
            if missing:
                self._played.units_without_order += missing
                homeless.append((line.sku, missing))
        await self._side_by_side(
            self._return(order_id, units, f"cancellation {invoice.number}") for order_id, units in returns.items()
        )
        await self._side_by_side(
            self._client.inventory.adjust_stock(
                sku=sku,
                delta=units,
                reason=inventory_pb2.ADJUSTMENT_REASON_RETURNED,
                reference=invoice.number,
                request_id=_id("book in", invoice.number, str(number)),
            )
            for number, (sku, units) in enumerate(homeless)
        )

    async def _return(self, order_id: str, units: Mapping[int, int], reason: str) -> None:
        """Announce units by line number, and receive them: one that comes ahead of the others, and all the rest."""
        orders = self._client.orders
        announced = await orders.announce_return(
            order_id=order_id,
            lines=[order_pb2.LineQuantity(line_number=number, quantity=count) for number, count in units.items()],
            reason=reason,
            request_id=_id("announce", reason, order_id),
        )
        return_id = announced.returns[-1].return_id
        if sum(units.values()) > 1:
            ahead = order_pb2.ReturnOrderRequest.Line(line_number=min(units), quantity=1)
            await orders.receive_return(
                order_id=order_id, return_id=return_id, lines=[ahead], request_id=_id("ahead", reason, order_id)
            )
        await orders.receive_return(order_id=order_id, return_id=return_id, request_id=_id("receive", reason, order_id))
        await orders.add_order_note(order_id=order_id, note=reason, request_id=_id("note", reason, order_id))
        self._played.returns += 1

    async def _side_by_side(self, calls: Iterable[Awaitable[Result]]) -> list[Result]:
        """All answers in their order, with no more than CALLS_AT_ONCE under way."""

        async def one(call: Awaitable[Result]) -> Result:
            async with self._places:
                return await call

        return await asyncio.gather(*(one(call) for call in calls))


def _require_taken(
    what: str,
    result: catalog_pb2.ImportResult
    | inventory_pb2.SyncStockResponse.Result
    | order_pb2.BatchCreateOrdersResponse.Result,
) -> None:
    if result.HasField("error"):
        raise Refused(f"{what} was refused: {describe(error_of(result.error))}")


def _is_edited(invoice: Invoice) -> bool:
    """Whether its order is placed with a unit too many of its first line: one in ten, the same in every run."""
    return crc32(invoice.number.encode()) % 10 == 0


def _money(pence: int) -> Money:
    return Money(currency_code=CURRENCY, units=pence // 100, nanos=pence % 100 * 10**7)


def _id(*parts: str) -> str:
    """The same for the same step of the same file."""
    return str(uuid.uuid5(_REQUESTS, "/".join(parts)))


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
