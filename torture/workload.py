"""The clients' work: buy, hold, pay, ship, count and change prices, on the same few SKUs and on each other's orders."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from tests.shop import Callers, money
from torture.calls import Caller, new_id
from torture.history import Call, History, Outcome

LOCATIONS = ("main", "north")
GOODS = ("GOODS-0", "GRÜN-1", "緑 2", "صنف-٣", "A/B@4", "16½")
RENAMED = "²"
"""Suffix of a SKU while it is renamed."""
FLASH = "FLASH"
"""A SKU that all clients buy and none returns: at the end all units must be sold."""
FLASH_UNITS = 120
GOODS_UNITS = 60
"""Units at each location."""
MOVES = 20
"""Maximum number of times that units are moved before the rest of the flash sale: a broken build refuses some rows."""
ENDLESS = "ENDLESS"
"""A SKU whose stock is not tracked."""

ON_ACCOUNT = orders.PAYMENT_TERMS_ON_ACCOUNT
Line = orders.CreateOrderRequest.Line
CAPTURED, AUTHORIZED = orders.RecordPaymentRequest.KIND_CAPTURED, orders.RecordPaymentRequest.KIND_AUTHORIZED
FAILED, REFUNDED = orders.RecordPaymentRequest.KIND_FAILED, orders.RecordPaymentRequest.KIND_REFUNDED


NEWER = (
    [AUTHORIZED, orders.RecordPaymentRequest.KIND_VOIDED],
    [AUTHORIZED, orders.RecordPaymentRequest.KIND_AUTHORIZATION_EXPIRED, CAPTURED],
    [CAPTURED, orders.RecordPaymentRequest.KIND_DISPUTED, orders.RecordPaymentRequest.KIND_DISPUTE_LOST],
    [CAPTURED, REFUNDED, orders.RecordPaymentRequest.KIND_REFUND_FAILED],
)
"""Further kinds of payment reports, which the previous release does not know."""
GOODWILL = money("1.00")
CHARGES = [
    orders.Charge(kind=orders.Charge.KIND_DISCOUNT, amount=money("1.01")),
    orders.Charge(kind=orders.Charge.KIND_TAX, amount=money("0.77")),
    orders.Charge(kind=orders.Charge.KIND_SHIPPING, amount=money("4.90")),
    orders.Charge(kind=orders.Charge.KIND_FEE, amount=money("2.50")),
    orders.Charge(kind=orders.Charge.KIND_CREDIT, amount=money("0.10")),
]


@dataclass
class World:
    """The ids that all clients share: they work on each other's holds and orders."""

    products: dict[str, str] = field(default_factory=dict)
    """product_id by SKU."""
    holds: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    purchases: deque[orders.Order] = field(default_factory=lambda: deque(maxlen=60))
    payments: deque[orders.RecordPaymentRequest] = field(default_factory=lambda: deque(maxlen=20))


async def open_shop(caller: Caller) -> World:
    """Creates published products with stock at two locations."""
    world = World()
    north = inventory.Location(location_id="north", name="North", priority=1, active=True)
    await settled(caller.call("inventory", "CreateLocation", inventory.CreateLocationRequest(location=north)))
    for sku in (*GOODS, FLASH, ENDLESS):
        variant = catalog.Variant(sku=sku, price=money("10.00"), untracked=sku == ENDLESS)
        product = catalog.Product(title=sku, variants=[variant])
        made = await settled(caller.call("catalog", "CreateProduct", catalog.CreateProductRequest(product=product)))
        world.products[sku] = made.product_id
        publish = catalog.PublishProductRequest(product_id=made.product_id)
        await settled(caller.call("catalog", "PublishProduct", publish))
        for location_id in LOCATIONS if sku != ENDLESS else ():
            units = FLASH_UNITS // 2 if sku == FLASH else GOODS_UNITS
            await settled(caller.call("inventory", "AdjustStock", received(sku, location_id, units)))
    return world


async def settled(call: Awaitable[Call]) -> Any:
    """Returns the response of a call that must succeed."""
    made = await call
    assert made.outcome is Outcome.OK, made
    return made.response


def received(sku: str, location_id: str, units: int) -> inventory.AdjustStockRequest:
    reason = inventory.ADJUSTMENT_REASON_RECEIVED if units > 0 else inventory.ADJUSTMENT_REASON_LOST
    return inventory.AdjustStockRequest(sku=sku, location_id=location_id, delta=units, reason=reason)


async def sell_out(caller: Caller) -> None:
    """Buys the rest of the flash sale, so that demand was sufficient. By then all units were moved from one location to
    the other, including those already owed."""
    main, north = LOCATIONS
    brought = [(main, -FLASH_UNITS // 2), (north, FLASH_UNITS // 2)]
    rows = [inventory.SyncStockRequest.Row(sku=FLASH, location_id=place, delta=units) for place, units in brought]
    for _ in range(MOVES):
        request = inventory.SyncStockRequest(rows=rows, reason=inventory.ADJUSTMENT_REASON_TRANSFERRED)
        results = (await settled(caller.sync(request))).results
        rows = [row for row, result in zip(rows, results, strict=True) if result.HasField("error")]
        if not rows:
            break
    units = 16
    for _ in range(FLASH_UNITS):
        call = await caller.call("orders", "CreateOrder", flash_order(units))
        if call.outcome is Outcome.FAIL and call.reason == "INSUFFICIENT_STOCK":
            units //= 2
        if not units:
            return
    raise AssertionError("the flash sale does not end")


def flash_order(units: int) -> orders.CreateOrderRequest:
    return orders.CreateOrderRequest(lines=[Line(sku=FLASH, quantity=units)], payment_terms=ON_ACCOUNT)


class Client:
    """Performs random actions, with pauses, until it is stopped."""

    def __init__(
        self,
        name: str,
        world: World,
        servers: Sequence[Callers],
        history: History,
        seed: int,
        hold_seconds: int,
        *,
        leaves: bool,
        charges: bool,
    ) -> None:
        """`hold_seconds` is the maximum TTL of a hold; `leaves`: sometimes cancels calls; `charges`: uses charges,
        edits, tenders, and reports other than captures and refunds."""
        self._hold_seconds = hold_seconds
        self._charges = charges
        self._rng = Random(f"{seed}/{name}")
        self._caller = Caller(name, servers, history, self._rng)
        self._caller.leaves = leaves
        self._world = world
        self._deeds: dict[Callable[[], Awaitable[Any]], int] = {
            self._browse: 8,
            self._order: 22,
            self._flash: 8,
            self._hold: 14,
            self._end_hold: 10,
            self._duel: 5,
            self._pay: 14,
            self._pay_again: 4,
            self._process: 10,
            self._fulfill: 10,
            self._cancel: 6,
            self._return: 4,
            self._announce: 5 if charges else 0,
            self._take_in: 8 if charges else 0,
            self._send_and_take_in: 4 if charges else 0,
            self._charge: 6 if charges else 0,
            self._edit_lines: 5 if charges else 0,
            self._unpack: 4 if charges else 0,
            self._cancel_one_by_one: 4 if charges else 0,
            self._refund_a_little: 4 if charges else 0,
            self._adjust: 8,
            self._sync: 3,
            self._edit: 2,
            self._rename: 1,
            self._caller.again: 4,
        }

    async def run(self, stop: asyncio.Event, opened: asyncio.Event, pause: float) -> None:
        """Works until `stop` is set; pauses while `opened` is cleared. `pause` is the mean, in seconds."""
        deeds, weights = list(self._deeds), list(self._deeds.values())
        while not stop.is_set():
            await opened.wait()
            await self._rng.choices(deeds, weights)[0]()
            await asyncio.sleep(self._rng.expovariate(1 / pause))

    def _twice(self) -> bool:
        return self._rng.random() < 0.1

    def _ttl(self) -> Duration:
        return Duration(seconds=self._rng.randint(1, self._hold_seconds))

    def _some_goods(self) -> list[str]:
        return self._rng.sample((*GOODS, ENDLESS), 2)

    def _some_order(self) -> orders.Order | None:
        return self._rng.choice(self._world.purchases) if self._world.purchases else None

    def _some_hold(self) -> str | None:
        return self._rng.choice(self._world.holds) if self._world.holds else None

    async def _browse(self) -> None:
        order = self._some_order()
        if order is not None and self._rng.random() < 0.3:
            await self._caller.call("orders", "GetOrder", orders.GetOrderRequest(order_id=order.order_id))
        else:
            wanted = inventory.GetAvailabilityRequest(sku=self._rng.choice(GOODS))
            await self._caller.call("inventory", "GetAvailability", wanted, by="storefront")

    async def _order(self) -> None:
        skus = self._rng.sample((*GOODS, ENDLESS), self._rng.choice((1, 1, 2, 3)))
        lines = [Line(sku=sku, quantity=self._rng.randint(1, 3)) for sku in skus]
        on_account = self._rng.random() < 0.5
        terms = ON_ACCOUNT if on_account else orders.PAYMENT_TERMS_PREPAID
        request = orders.CreateOrderRequest(lines=lines, payment_terms=terms)
        if on_account and self._charges:
            request.charges.extend(self._rng.sample(CHARGES, self._rng.randint(0, 3)))
        await self._create(request, by="pms" if on_account else "storefront")

    async def _flash(self) -> None:
        await self._caller.call("orders", "CreateOrder", flash_order(self._rng.randint(1, 2)), twice=self._twice())

    async def _create(self, request: orders.CreateOrderRequest, by: str) -> None:
        call = await self._caller.call("orders", "CreateOrder", request, by=by, twice=self._twice())
        if call.response is not None:
            self._world.purchases.append(call.response)

    async def _hold(self) -> None:
        lines = [inventory.StockLine(sku=sku, quantity=self._rng.randint(1, 3)) for sku in self._some_goods()]
        request = inventory.ReserveStockRequest(lines=lines, ttl=self._ttl())
        call = await self._caller.call("inventory", "ReserveStock", request, by="storefront", twice=self._twice())
        if call.response is not None:
            self._world.holds.append(call.response.reservation_id)

    async def _extend(self, hold: str) -> None:
        request = inventory.ExtendReservationRequest(reservation_id=hold, ttl=self._ttl())
        await self._caller.call("inventory", "ExtendReservation", request, by="storefront")

    async def _release(self, hold: str) -> None:
        request = inventory.ReleaseReservationRequest(reservation_id=hold)
        await self._caller.call("inventory", "ReleaseReservation", request, by="storefront", twice=self._twice())

    async def _convert(self, hold: str) -> None:
        await self._create(orders.CreateOrderRequest(reservation_id=hold), by="storefront")

    async def _end_hold(self) -> None:
        if hold := self._some_hold():
            await self._rng.choice((self._extend, self._release, self._convert))(hold)

    async def _duel(self) -> None:
        """Ends a hold in all ways at once; the sweeper may interfere."""
        if hold := self._some_hold():
            await asyncio.gather(self._extend(hold), self._release(hold), self._convert(hold))

    async def _pay(self) -> None:
        """Sends a provider's reports in any order, by gRPC or webhook."""
        order = self._some_order()
        if order is None:
            return
        kinds = self._rng.choice(
            (
                [CAPTURED],
                [AUTHORIZED, CAPTURED],
                [FAILED, CAPTURED],
                [CAPTURED, REFUNDED],
                *([*each] for each in NEWER if self._charges),
            )
        )
        tender = new_id(self._rng) if self._charges and self._rng.random() < 0.5 else ""
        requests = [self._payment(order, kind, order.totals.total, tender) for kind in kinds]
        self._rng.shuffle(requests)
        self._world.payments.extend(requests)
        await asyncio.gather(*map(self._report, requests))

    def _payment(
        self, order: orders.Order, kind: orders.RecordPaymentRequest.Kind.ValueType, amount: Money, tender: str = ""
    ) -> orders.RecordPaymentRequest:
        return orders.RecordPaymentRequest(
            order_id=order.order_id,
            provider="bank",
            provider_event_id=new_id(self._rng),
            kind=kind,
            amount=amount,
            payment_reference=tender,
        )

    async def _pay_again(self) -> None:
        """Repeats a provider's report under a new request_id."""
        if self._world.payments:
            again = orders.RecordPaymentRequest()
            again.CopyFrom(self._rng.choice(self._world.payments))
            again.ClearField("request_id")
            await self._report(again)

    async def _report(self, request: orders.RecordPaymentRequest) -> None:
        if self._rng.random() < 0.4:
            await self._caller.webhook("payment.updated", request, twice=self._twice())
        else:
            await self._caller.call("orders", "RecordPayment", request, twice=self._twice())

    async def _step(self, method: str, request: Any, **options: Any) -> None:
        await self._caller.call("orders", method, request, twice=self._twice(), **options)

    async def _process(self) -> None:
        if order := self._some_order():
            await self._step("ProcessOrder", orders.ProcessOrderRequest(order_id=order.order_id))

    def _part(self, order: orders.Order) -> list[orders.LineQuantity]:
        """Returns all open units, or one unit of a line."""
        if self._rng.random() < 0.5:
            return []
        return [orders.LineQuantity(line_number=self._rng.randint(1, len(order.lines)), quantity=1)]

    async def _fulfill(self) -> None:
        if order := self._some_order():
            request = orders.FulfillOrderRequest(
                order_id=order.order_id, lines=self._part(order), location_id=self._rng.choice(("", *LOCATIONS))
            )
            await self._step("FulfillOrder", request)

    async def _cancel(self) -> None:
        if order := self._some_order():
            await self._step("CancelOrder", orders.CancelOrderRequest(order_id=order.order_id, lines=self._part(order)))

    async def _return(self) -> None:
        if order := self._some_order():
            number, damaged = self._rng.randint(1, len(order.lines)), self._rng.random() < 0.3
            line = orders.ReturnOrderRequest.Line(line_number=number, quantity=1, damaged=damaged)
            await self._step("ReturnOrder", orders.ReturnOrderRequest(order_id=order.order_id, lines=[line]))

    async def _announce(self) -> None:
        if order := self._some_order():
            lines = [orders.LineQuantity(line_number=self._rng.randint(1, len(order.lines)), quantity=1)]
            await self._step("AnnounceReturn", orders.AnnounceReturnRequest(order_id=order.order_id, lines=lines))

    async def _send_and_take_in(self) -> None:
        """Takes in a return of an order that was sent: of orders that are drawn, few have come so far."""
        lines = [Line(sku=self._rng.choice(GOODS), quantity=2)]
        request = orders.CreateOrderRequest(lines=lines, payment_terms=ON_ACCOUNT)
        call = await self._caller.call("orders", "CreateOrder", request)
        if order := call.response:
            await self._step("ProcessOrder", orders.ProcessOrderRequest(order_id=order.order_id))
            await self._step("FulfillOrder", orders.FulfillOrderRequest(order_id=order.order_id))
            back = [orders.LineQuantity(line_number=1, quantity=self._rng.randint(1, 2))]
            await self._step("AnnounceReturn", orders.AnnounceReturnRequest(order_id=order.order_id, lines=back))
            await self._take_in(order)

    async def _take_in(self, order: orders.Order | None = None) -> None:
        """Receives what is expected of an order, in parts and damaged, or ends it; now and then both at once."""
        if order := order or self._some_order():
            call = await self._caller.call("orders", "GetOrder", orders.GetOrderRequest(order_id=order.order_id))
            returns = list(call.response.returns) if call.response is not None else []
            if returns:
                each, damaged = self._rng.choice(returns), self._rng.random() < 0.3
                ids = {"order_id": order.order_id, "return_id": each.return_id}
                lines = [
                    orders.ReturnOrderRequest.Line(line_number=each.lines[0].line_number, quantity=1, damaged=damaged)
                ]
                steps: dict[str, Any] = {
                    "ReceiveReturn": orders.ReceiveReturnRequest(**ids, lines=lines if damaged else []),
                    "CloseReturn": orders.CloseReturnRequest(**ids),
                    "WithdrawReturn": orders.WithdrawReturnRequest(**ids),
                }
                chosen = self._rng.choices(list(steps), (4, 1, 1), k=self._rng.choice((1, 1, 2)))
                await asyncio.gather(*(self._step(method, steps[method]) for method in dict.fromkeys(chosen)))

    async def _charge(self) -> None:
        """Adds a charge as staff."""
        if order := self._some_order():
            request = orders.AddChargeRequest(
                order_id=order.order_id, charge=self._rng.choice(CHARGES), reason="because"
            )
            await self._step("AddCharge", request)

    async def _edit_lines(self) -> None:
        """Changes a line that may be gone by now, and adds another."""
        if order := self._some_order():
            number, units = self._rng.randint(1, len(order.lines) + 1), self._rng.randint(0, 3)
            change = orders.EditOrderLinesRequest.Change(line_number=number, quantity=units)
            added = [Line(sku=self._rng.choice((*GOODS, ENDLESS)), quantity=1)] if self._rng.random() < 0.4 else []
            request = orders.EditOrderLinesRequest(order_id=order.order_id, changes=[change], additions=added)
            await self._step("EditOrderLines", request)

    async def _unpack(self) -> None:
        """Cancels a parcel as if it had not been sent."""
        if order := self._some_order():
            call = await self._caller.call("orders", "GetOrder", orders.GetOrderRequest(order_id=order.order_id))
            for parcel in call.response.fulfillments[:1] if call.response is not None else ():
                request = orders.CancelFulfillmentRequest(order_id=order.order_id, fulfillment_id=parcel.fulfillment_id)
                await self._step("CancelFulfillment", request)

    async def _cancel_one_by_one(self) -> None:
        """Cancels three units one by one, with a discount that is no multiple of three."""
        lines = [Line(sku=self._rng.choice(GOODS), quantity=3)]
        request = orders.CreateOrderRequest(lines=lines, payment_terms=ON_ACCOUNT, charges=CHARGES[:1])
        call = await self._caller.call("orders", "CreateOrder", request)
        for _ in range(3 if call.response is not None else 0):
            unit = [orders.LineQuantity(line_number=1, quantity=1)]
            await self._step("CancelOrder", orders.CancelOrderRequest(order_id=call.response.order_id, lines=unit))

    async def _refund_a_little(self) -> None:
        """Refunds a small amount for goodwill, on an order that is not processed."""
        lines = [Line(sku=self._rng.choice(GOODS), quantity=1)]
        call = await self._caller.call("orders", "CreateOrder", orders.CreateOrderRequest(lines=lines))
        for kind in (CAPTURED, REFUNDED) if call.response is not None else ():
            request = self._payment(call.response, kind, GOODWILL if kind == REFUNDED else call.response.totals.total)
            await self._caller.call("orders", "RecordPayment", request)

    async def _adjust(self) -> None:
        units = self._rng.choice((-2, -1, 1, 4, 8))
        request = received(self._rng.choice(GOODS), self._rng.choice(LOCATIONS), units)
        await self._caller.call("inventory", "AdjustStock", request, twice=self._twice())

    async def _sync(self) -> None:
        """Sends counts and deltas in one request of a stream."""
        rows = [
            inventory.SyncStockRequest.Row(sku=sku, location_id=self._rng.choice(LOCATIONS), delta=1)
            for sku in self._rng.sample(GOODS, 2)
        ]
        await self._caller.sync(inventory.SyncStockRequest(rows=rows))

    async def _rename(self) -> None:
        """Renames a SKU and back. Requests that name it meanwhile are refused; units owed stay owed."""
        sku = self._rng.choice(GOODS)
        for before, after in ((sku, f"{sku}{RENAMED}"), (f"{sku}{RENAMED}", sku)):
            request = catalog.RenameSkuRequest(sku=before, new_sku=after)
            await self._caller.call("catalog", "RenameSku", request, twice=self._twice())

    async def _edit(self) -> None:
        """Changes a price, or unpublishes a product for a moment."""
        sku = self._rng.choice(GOODS)
        product_id = self._world.products[sku]
        if self._rng.random() < 0.5:
            variant = catalog.Variant(sku=sku, price=money(f"{self._rng.randint(5, 20)}.00"))
            product = catalog.Product(product_id=product_id, variants=[variant])
            request = catalog.UpdateProductRequest(product=product, update_mask=FieldMask(paths=["variants"]))
            await self._caller.call("catalog", "UpdateProduct", request, twice=self._twice())
        else:
            await self._caller.call(
                "catalog", "UnpublishProduct", catalog.UnpublishProductRequest(product_id=product_id)
            )
            await self._caller.call("catalog", "PublishProduct", catalog.PublishProductRequest(product_id=product_id))
