"""A shop to test with: the real server in this process, stubs for each role, and a few words to arrange things with."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc import status_pb2 as rpc_status_pb2
from google.type.money_pb2 import Money
from grpc_status import rpc_status
from stockward.auth.v1 import key_pb2_grpc, session_pb2_grpc
from stockward.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from stockward.event.v1 import event_pb2_grpc
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from stockward.order.v1 import order_pb2, order_pb2_grpc
from stockward.status.v1 import status_pb2_grpc
from stockward.webhook.v1 import incoming_pb2_grpc, webhook_pb2_grpc

from stockward_dev import free_port
from stockward_server.application.context import Role
from stockward_server.bootstrap.server import running_server
from stockward_server.config import Settings
from stockward_server.storage import keys
from stockward_server.storage.database import Pool

KEYS = {role: f"swk_{role}_test_key" for role in ("storefront", "viewer", "pms", "admin")}


STUBS = {
    "catalog": catalog_pb2_grpc.CatalogServiceStub,
    "inventory": inventory_pb2_grpc.InventoryServiceStub,
    "orders": order_pb2_grpc.OrderServiceStub,
    "events": event_pb2_grpc.EventServiceStub,
    "keys": key_pb2_grpc.KeyServiceStub,
    "sessions": session_pb2_grpc.SessionServiceStub,
    "status": status_pb2_grpc.StatusServiceStub,
    "incoming": incoming_pb2_grpc.IncomingWebhookServiceStub,
    "webhooks": webhook_pb2_grpc.WebhookServiceStub,
}
"""Of each service, by a short name."""


class Callers:
    """The stubs of one role, on one channel. Each is made when it is first used: all of them take 2 ms."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    def __getattr__(self, service: str) -> Any:
        if service not in STUBS:
            raise AttributeError(service)
        stub = STUBS[service](self.channel)
        setattr(self, service, stub)
        return stub


class _WithKey:
    """Sends the key with every call."""

    def __init__(self, key: str) -> None:
        self._header = ("authorization", f"Bearer {key}")

    async def _call(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        metadata.add(*self._header)
        return await continuation(client_call_details._replace(metadata=metadata), request)


class _UnaryWithKey(_WithKey, grpc.aio.UnaryUnaryClientInterceptor):
    intercept_unary_unary = _WithKey._call


class _UploadWithKey(_WithKey, grpc.aio.StreamUnaryClientInterceptor):
    intercept_stream_unary = _WithKey._call  # type: ignore[assignment]


class _WatchWithKey(_WithKey, grpc.aio.UnaryStreamClientInterceptor):
    intercept_unary_stream = _WithKey._call


class _StreamWithKey(_WithKey, grpc.aio.StreamStreamClientInterceptor):
    intercept_stream_stream = _WithKey._call  # type: ignore[assignment]


def callers(address: str, key: str) -> Callers:
    """Stubs that call `address` with `key`. Close their channel."""
    return Callers(
        open_channel(address, _UnaryWithKey(key), _UploadWithKey(key), _WatchWithKey(key), _StreamWithKey(key))
    )


def all_callers(address: str) -> dict[str, Callers]:
    """Stubs for each role, and for somebody without a key (`keyless`). Close their channels."""
    return {role: callers(address, key) for role, key in KEYS.items()} | {"keyless": Callers(open_channel(address))}


def open_channel(address: str, *interceptors: grpc.aio.ClientInterceptor) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(
        address,
        interceptors=interceptors,
        options=[
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )


async def is_answered(channel: grpc.aio.Channel, seconds: float) -> bool:
    """Whether a call of the health service is answered within so many seconds."""
    check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    try:
        await check(b"", timeout=seconds)
    except grpc.aio.AioRpcError:
        return False
    return True


class Shop:
    """A running server."""

    def __init__(self, address: str, pool: Pool, stubs: dict[str, Callers]) -> None:
        self.address = address
        self.pool = pool
        self.pms = stubs["pms"]
        self.storefront = stubs["storefront"]
        self.admin = stubs["admin"]
        self.viewer = stubs["viewer"]
        self.keyless = stubs["keyless"]

    async def sell(
        self, sku: str, units: int = 0, price: str = "19.90", currency: str = "EUR", *, untracked: bool = False
    ) -> str:
        """Publishes a product with one variant and puts units on hand; answers its product_id."""
        product = await self.pms.catalog.CreateProduct(
            catalog_pb2.CreateProductRequest(
                product=catalog_pb2.Product(
                    title=f"Product {sku}",
                    handle=f"p-{uuid.uuid4()}",
                    variants=[catalog_pb2.Variant(sku=sku, price=money(price, currency), untracked=untracked)],
                )
            )
        )
        await self.pms.catalog.PublishProduct(catalog_pb2.PublishProductRequest(product_id=product.product_id))
        if units:
            await self.receive(sku, units)
        return str(product.product_id)

    async def receive(self, sku: str, units: int, location_id: str = "") -> inventory_pb2.StockLevel:
        """Puts units on hand."""
        level: inventory_pb2.StockLevel = await self.pms.inventory.AdjustStock(
            inventory_pb2.AdjustStockRequest(
                sku=sku,
                location_id=location_id,
                delta=units,
                reason=inventory_pb2.ADJUSTMENT_REASON_RECEIVED,
            )
        )
        return level

    async def order(self, sku: str, quantity: int = 1, **fields: Any) -> order_pb2.Order:
        """An order of one line, by the storefront."""
        order: order_pb2.Order = await self.storefront.orders.CreateOrder(
            order_pb2.CreateOrderRequest(
                lines=[order_pb2.CreateOrderRequest.Line(sku=sku, quantity=quantity)], **fields
            )
        )
        return order

    async def pay(self, order: order_pb2.Order, kind: str = "CAPTURED", amount: Money | None = None) -> order_pb2.Order:
        """A payment event of the full amount, or of another one."""
        paid: order_pb2.Order = await self.pms.orders.RecordPayment(
            order_pb2.RecordPaymentRequest(
                order_id=order.order_id,
                provider="test",
                provider_event_id=str(uuid.uuid4()),
                kind=order_pb2.RecordPaymentRequest.Kind.Value(f"KIND_{kind}"),
                amount=amount or order.totals.total,
            )
        )
        return paid

    async def level(self, sku: str, location_id: str = "main") -> inventory_pb2.StockLevel:
        """The counters as they stand."""
        answer = await self.pms.inventory.ListStockLevels(
            inventory_pb2.ListStockLevelsRequest(sku=sku, location_id=location_id)
        )
        (level,) = answer.stock_levels
        assert isinstance(level, inventory_pb2.StockLevel)
        return level

    async def counters(self, sku: str, location_id: str = "main") -> tuple[int, int, int]:
        """on_hand, reserved, allocated."""
        level = await self.level(sku, location_id)
        return level.on_hand, level.reserved, level.allocated

    async def verify(self) -> None:
        """Counters, ledger and open claims agree."""
        answer = await self.pms.inventory.VerifyStock(inventory_pb2.VerifyStockRequest())
        assert not answer.discrepancies, answer


async def ensure_keys(settings: Settings) -> None:
    """A key for each role."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    for role, key in KEYS.items():
        await keys.ensure_key(connection, role, Role[role.upper()], key)
    await connection.close()


@asynccontextmanager
async def running_shop(settings: Settings) -> AsyncIterator[Shop]:
    """A server in this process on a free port, with a key for each role."""
    address = f"127.0.0.1:{free_port()}"
    await ensure_keys(settings)
    async with AsyncExitStack() as stack:
        settings = settings.model_copy(update={"grpc_address": address})
        running = await stack.enter_async_context(running_server(settings))
        stubs = all_callers(address)
        for each in stubs.values():
            stack.push_async_callback(each.channel.close)
        yield Shop(address, running.pool, stubs)


def money(amount: str, currency: str = "EUR") -> Money:
    """`money("19.90")`"""
    units, _, part = amount.partition(".")
    return Money(currency_code=currency, units=int(units), nanos=int(part.ljust(9, "0") or 0))


class Refused:
    """An error answer, taken apart."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.message = error.details() or ""
        status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]
        assert status is not None, f"no google.rpc.Status in {error!r}"
        self.status: rpc_status_pb2.Status = status
        self.info: error_details_pb2.ErrorInfo = self._detail(error_details_pb2.ErrorInfo)
        self.reason = self.info.reason
        self.metadata = dict(self.info.metadata)
        self.fields = [v.field for v in self._detail(error_details_pb2.BadRequest).field_violations]
        self.preconditions = list(self._detail(error_details_pb2.PreconditionFailure).violations)
        self.retry_after = self._detail(error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds()

    def _detail(self, kind: Any) -> Any:
        for detail in self.status.details:
            message = kind()
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(message)
                return message
        return kind()


async def refused(call: Awaitable[Message]) -> Refused:
    """Awaits a call that must be refused with a google.rpc.Status."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        refusal = Refused(error)
        assert refusal.info.domain == "stockward"
        assert refusal.status.code == refusal.code.value[0]
        return refusal
    raise AssertionError(f"not refused: {answer}")
