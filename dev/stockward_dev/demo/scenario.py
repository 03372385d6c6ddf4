"""A shop's day: staff publish a catalogue, a customer buys, staff ship the order and take a part of it back, and both
sides receive events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.type.money_pb2 import Money
from stockward.catalog.v1.catalog_pb2 import (
    AvailableProduct,
    ImportProductsRequest,
    ImportResult,
)
from stockward.event.v1.event_pb2 import Event
from stockward.inventory.v1.inventory_pb2 import (
    ADJUSTMENT_REASON_RECEIVED,
    Reservation,
    StockLevel,
    StockLine,
    SyncStockRequest,
)
from stockward.order.v1.order_pb2 import (
    CreateOrderRequest,
    Customer,
    EditOrderLinesRequest,
    Fulfillment,
    Hold,
    LineQuantity,
    Order,
    RecordPaymentRequest,
)

from stockward_client import AsyncStockward, InsufficientStock, OrderOnHold, error_of
from stockward_dev.demo.catalogue import catalogue
from stockward_dev.demo.output import DidNotHappen, Telling
from stockward_dev.demo.receivers import Witness

UNITS = 10
"""Units of each SKU that are received."""

BOUGHT = 4
"""Units that the customer orders at first."""

REORDER_POINT = 6
"""Staff are warned when no more than these are left: UNITS - BOUGHT."""

KEPT = BOUGHT - 2
"""Units that the customer keeps: one is taken off the order, and one comes back."""


NAMES = {"storefront": "Storefront", "pms": "PMS"}
"""Displayed names of the receivers of events."""


class Story:
    """One day. Names are new each time, so that it can be played again and again."""

    def __init__(self, telling: Telling, pms: AsyncStockward, shop: AsyncStockward, hears: dict[str, Witness]) -> None:
        """`pms` and `shop` are clients with the keys of staff and storefront; `hears` has a witness for each role."""
        self._tell = telling
        self._pms = pms
        self._shop = shop
        self._hears = hears
        self._day = secrets.token_hex(3)
        self._products = catalogue(self._day)
        self._sku = self._products[0].variants[1].sku
        self._order_id = ""
        self._internal = 0, 0
        """Versions of the order that no storefront receives: its hold and release."""

    async def play(self) -> Order:
        """Plays the day and returns the order at its end. Raises DidNotHappen, or StockwardError for a failed call."""
        await self._open_the_shop()
        order = await self._pay(await self._edit(await self._buy()))
        order = await self._send(await self._hold(order))
        order = await self._take_back(order)
        await self._look_back(order)
        return order

    async def _open_the_shop(self) -> None:
        skus = [variant.sku for product in self._products for variant in product.variants]
        ids = await self._tell.step(
            "PMS",
            "importing the catalogue",
            self._import(),
            f"imports {len(self._products)} products with {len(skus)} variants, as drafts",
        )
        await self._tell.step(
            "PMS",
            "publishing",
            asyncio.gather(*(self._pms.catalog.publish_product(product_id=each) for each in ids)),
            "publishes them",
        )
        await self._tell.step(
            "PMS",
            "receiving goods",
            self._receive(skus),
            f"receives {UNITS} of each, to be warned at {REORDER_POINT} of {self._sku}",
        )
        await self._heard("storefront", "product.published", *ids)
        await self._tell.step(
            "Storefront",
            "looking for the products",
            self._look(),
            lambda found: "shows " + ", ".join(f"{each.title} ({_available(each)} available)" for each in found),
        )

    async def _buy(self) -> Order:
        price = self._products[0].variants[1].price
        lines = [StockLine(sku=self._sku, quantity=BOUGHT)]
        hold = await self._tell.step(
            "Customer",
            "holding",
            self._shop.inventory.reserve_stock(lines=lines, ttl=Duration(seconds=600)),
            f"holds {BOUGHT} × {self._sku} for ten minutes",
        )
        await self._tell.step(
            "Storefront",
            "asking for the stock",
            self._shop.inventory.get_availability(sku=self._sku),
            lambda answer: f"has {answer.available} of {UNITS} left for everyone else",
        )
        await self._tell.step(
            "Customer",
            "asking for more than there is",
            self._refused(UNITS - BOUGHT + 1),
            lambda answer: f"number two is refused: {answer.message} ({answer.reason})",
        )
        await self._heard("pms", "stock.low", f"{self._sku}@main")
        order = await self._tell.step(
            "Customer",
            "ordering",
            self._order(hold, price),
            lambda order: f"orders what is held, for {_shown(order.totals.total)}",
        )
        await self._heard("pms", "order.created", order.order_id)
        return order

    async def _edit(self, order: Order) -> Order:
        less = EditOrderLinesRequest.Change(line_number=1, quantity=BOUGHT - 1)
        return await self._tell.step(
            "PMS",
            "editing the order",
            self._pms.orders.edit_order_lines(order_id=order.order_id, changes=[less]),
            lambda order: f"takes one off the order, as the customer asks; it comes to {_shown(order.totals.net)}",
        )

    async def _hold(self, order: Order) -> Order:
        held = await self._tell.step(
            "PMS",
            "holding the order",
            self._pms.orders.hold_order(order_id=order.order_id, reason=Hold.REASON_ADDRESS, note="no house number"),
            "puts the order on hold: the address lacks a house number",
        )
        await self._tell.step(
            "PMS",
            "processing what is on hold",
            self._not_processed(order),
            lambda error: f"is refused to process it meanwhile ({error.reason})",
        )
        released = await self._tell.step(
            "PMS",
            "releasing the order",
            self._pms.orders.release_order(order_id=order.order_id),
            "has the number, and releases it",
        )
        self._order_id, self._internal = order.order_id, (held.version, released.version)
        return released

    async def _not_processed(self, order: Order) -> OrderOnHold:
        try:
            await self._pms.orders.process_order(order_id=order.order_id)
        except OrderOnHold as error:
            return error
        raise DidNotHappen("Stockward: the refusal to process an order on hold")

    async def _pay(self, order: Order) -> Order:
        paid = await self._tell.step(
            "Customer",
            "paying",
            self._pms.orders.record_payment(
                order_id=order.order_id,
                provider="demo",
                provider_event_id=f"payment-{self._day}",
                kind=RecordPaymentRequest.KIND_CAPTURED,
                amount=order.payment.still_to_pay,
            ),
            lambda order: f"pays {_shown(order.payment.captured)}",
        )
        await self._heard("pms", "payment.updated", order.order_id)
        return paid

    async def _send(self, order: Order) -> Order:
        await self._tell.step(
            "PMS",
            "processing",
            self._pms.orders.process_order(order_id=order.order_id),
            "takes the order into processing",
        )
        tracking_number = f"DP-{self._day}"
        await self._tell.step(
            "PMS",
            "shipping a part",
            self._pms.orders.fulfill_order(
                order_id=order.order_id, lines=[LineQuantity(line_number=1, quantity=1)], carrier="Demo Post"
            ),
            f"sends one of {BOUGHT - 1} ahead",
        )
        sent = await self._tell.step(
            "PMS",
            "fulfilling",
            self._pms.orders.fulfill_order(
                order_id=order.order_id, carrier="Demo Post", tracking_number=tracking_number
            ),
            lambda order: f"sends the rest off as {order.fulfillments[1].tracking_number}",
        )
        await self._tell.step(
            "PMS",
            "tracking the first parcel",
            self._pms.orders.update_fulfillment(
                order_id=order.order_id,
                fulfillment_id=sent.fulfillments[0].fulfillment_id,
                tracking_number=f"{tracking_number}-1",
                state=Fulfillment.STATE_DELIVERED,
            ),
            lambda order: f"adds the tracking of the first, {order.fulfillments[0].tracking_number}: delivered",
        )
        (event,) = await self._heard("storefront", "order.fulfilled", order.order_id)
        if event.order.fulfillment.tracking_number != tracking_number:
            raise DidNotHappen("Storefront: order.fulfilled came without the tracking number")
        return sent

    async def _take_back(self, order: Order) -> Order:
        announced = await self._tell.step(
            "Customer",
            "announcing a return",
            self._shop.orders.announce_return(
                order_id=order.order_id, lines=[LineQuantity(line_number=1, quantity=1)], reason="too small"
            ),
            "announces that one comes back",
        )
        await self._heard("pms", "order.return_announced", order.order_id)
        received = await self._tell.step(
            "PMS",
            "receiving the return",
            self._pms.orders.receive_return(order_id=order.order_id, return_id=announced.returns[0].return_id),
            lambda order: f"receives it; {_shown(order.payment.refund_due)} are due to the customer",
        )
        await self._heard("storefront", "order.returned", order.order_id)
        return await self._tell.step(
            "PMS",
            "refunding",
            self._pms.orders.record_payment(
                order_id=order.order_id,
                provider="demo",
                provider_event_id=f"refund-{self._day}",
                kind=RecordPaymentRequest.KIND_REFUNDED,
                amount=received.payment.refund_due,
            ),
            lambda order: f"pays back {_shown(order.payment.refunded)}",
        )

    async def _look_back(self, order: Order) -> None:
        level = await self._tell.step(
            "Stockward",
            "counting",
            self._verify(),
            f"has {UNITS - KEPT} of {self._sku} on hand; counters, ledger and open claims agree",
        )
        await self._tell.step(
            "Storefront",
            "hearing every change of the stock",
            self._history("storefront", f"{self._sku}@main", level.version),
            lambda events: "saw the stock go " + " → ".join(dict.fromkeys(str(e.stock.available) for e in events)),
        )
        for role, name in NAMES.items():
            await self._tell.step(
                name,
                "hearing every change of the order",
                self._history(role, order.order_id, order.version),
                lambda events: f"heard of the order, in order: {', '.join(event.type for event in events)}",
            )

    async def _history(self, role: str, aggregate_id: str, version: int) -> list[Event]:
        events = await self._hears[role].history(aggregate_id, version)
        versions = [event.aggregate_version for event in events]
        internal = self._internal if role == "storefront" and aggregate_id == self._order_id else ()
        if versions != [each for each in range(1, version + 1) if each not in internal]:
            raise DidNotHappen(f"{NAMES[role]}: the changes of {aggregate_id} came as {versions}, not in order")
        return events

    async def _heard(self, role: str, event_type: str, *aggregate_ids: str) -> list[Event]:
        """Waits for the events, and prints how they were received: by webhook, or from the record."""
        witness = self._hears[role]
        times = f" × {len(aggregate_ids)}" if len(aggregate_ids) > 1 else ""
        return await self._tell.step(
            NAMES[role],
            f"hearing {event_type}",
            asyncio.gather(*(witness.hears(event_type, each) for each in aggregate_ids)),
            f"hears {event_type}{times} {witness.means}",
        )

    async def _import(self) -> list[str]:
        rows = [ImportProductsRequest(product=product) for product in self._products]
        results = (await self._pms.catalog.import_products(rows)).results
        for product, result in zip(self._products, results, strict=True):
            if result.action != ImportResult.ACTION_CREATED:
                raise DidNotHappen(f"PMS: {product.handle} was not created: {error_of(result.error)}")
        return [result.product_id for result in results]

    async def _receive(self, skus: Sequence[str]) -> None:
        rows = [SyncStockRequest.Row(sku=sku, delta=UNITS) for sku in skus]
        request = SyncStockRequest(rows=rows, reason=ADJUSTMENT_REASON_RECEIVED, reference=f"delivery {self._day}")
        async for answer in self._pms.inventory.sync_stock([request]):
            for sku, result in zip(skus, answer.results, strict=True):
                if result.HasField("error"):
                    raise DidNotHappen(f"PMS: {sku} was not received: {error_of(result.error)}")
        await self._pms.inventory.set_stock_policy(sku=self._sku, reorder_point=REORDER_POINT)

    async def _look(self) -> Sequence[AvailableProduct]:
        """Returns the day's products as the storefront sees them, with their stock."""
        listed = self._shop.catalog.list_available_products(tag=self._day, order_by="title")
        products = [product async for product in listed]
        if len(products) != len(self._products) or not all(map(_available, products)):
            raise DidNotHappen(f"Storefront: {len(products)} products can be seen, not {len(self._products)}")
        return products

    async def _refused(self, quantity: int) -> InsufficientStock:
        try:
            await self._shop.inventory.reserve_stock(lines=[StockLine(sku=self._sku, quantity=quantity)])
        except InsufficientStock as error:
            return error
        raise DidNotHappen(f"Stockward: the refusal of {quantity} units, of which there are fewer")

    async def _order(self, hold: Reservation, price: Money) -> Order:
        return await self._shop.orders.create_order(
            reservation_id=hold.reservation_id,
            lines=[CreateOrderRequest.Line(sku=self._sku, quantity=BOUGHT, shown_unit_price=price)],
            customer=Customer(customer_id=f"customer-{self._day}"),
            reference=f"DEMO-{self._day.upper()}",
        )

    async def _verify(self) -> StockLevel:
        """Verifies the stock of all SKUs and returns that of the SKU that was bought."""
        for product in self._products:
            for variant in product.variants:
                answer = await self._pms.inventory.verify_stock(sku=variant.sku)
                if answer.discrepancies or answer.checked != 1:
                    raise DidNotHappen(f"Stockward: counters and ledger of {variant.sku} do not agree")
        (level,) = [level async for level in self._pms.inventory.list_stock_levels(sku=self._sku)]
        if level.on_hand != UNITS - KEPT or level.allocated or level.reserved:
            raise DidNotHappen(f"Stockward: {level.on_hand} of {self._sku} on hand, not {UNITS - KEPT}")
        return level


def _available(product: AvailableProduct) -> int:
    return sum(variant.available for variant in product.variants)


def _shown(money: Money) -> str:
    return f"{money.currency_code} {money.units}.{money.nanos // 10**7:02}"
