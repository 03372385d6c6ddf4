"""IncomingWebhookService: a signed report becomes the call of a method, once per webhook-id."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2
from stockward.webhook.v1 import incoming_pb2 as pb
from stockward.webhook.v1 import incoming_pb2_grpc

from stockward_server.api.catalog.servicer import CatalogServicer
from stockward_server.api.incoming_webhooks.signatures import verify_standard, verify_stripe
from stockward_server.api.incoming_webhooks.stripe_events import (
    PROVIDER,
    READERS,
    currency_of,
    event_id_of,
    find,
    payments_of,
    subject_of,
)
from stockward_server.api.inventory.servicer import InventoryServicer
from stockward_server.api.orders.servicer import OrderServicer
from stockward_server.api.requests import Context
from stockward_server.application.context import Caller, Role
from stockward_server.application.ports.orders import OrderViews
from stockward_server.auth.identity import Call, current_call
from stockward_server.domain.errors import (
    Code,
    CurrencyMismatch,
    MoneyInvalid,
    PaymentEventConflict,
    Refusal,
    WebhookBodyInvalid,
    WebhookTypeUnknown,
)
from stockward_server.runtime.turns import at_once, beside
from stockward_server.wire.json_parser import JsonInvalid, parse
from stockward_server.wire.validation.rules import SHORT, validate

log = logging.getLogger(__name__)

MAX_TYPE_LENGTH = 200

ORDER_PLACED, STOCK_SYNCED = "order.placed", "stock.synced"
"""The types of webhooks whose response has an order, or a result for each row."""

NO_MONEY_MOVED, NO_ORDER = "NO_MONEY_MOVED", "NO_ORDER"
"""Why nothing was done, beside the reasons with which RecordPayment refuses."""

FOR_GOOD = (PaymentEventConflict, MoneyInvalid)
"""What RecordPayment refuses in another way than by a precondition, and will go on to refuse."""


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """The secrets that count; several of a kind while they are changed."""

    standard: Mapping[str, Sequence[str]]
    """Of each endpoint."""
    stripe: Sequence[str]
    shared: Sequence[str] = ()
    """Former ones, with which a webhook to any endpoint may be signed, and which need not name it."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The method behind a type of webhook."""

    method: str
    """`/package.Service/Method`"""
    request: Callable[[], Any]
    run: Callable[[Any, Context], Awaitable[object]]


def _effect(service: ServiceDescriptor, name: str, run: Callable[[Any, Context], Awaitable[object]]) -> Effect:
    method = service.methods_by_name[name]
    return Effect(f"/{service.full_name}/{name}", GetMessageClass(method.input_type), run)


class IncomingWebhookServicer(incoming_pb2_grpc.IncomingWebhookServiceServicer):
    """See incoming.proto; raises a Refusal for a documented error."""

    def __init__(
        self,
        catalog: CatalogServicer,
        inventory: InventoryServicer,
        orders: OrderServicer,
        order_views: OrderViews,
        secrets: WebhookSecrets,
    ) -> None:
        self._secrets = secrets
        self._warned: set[str] = set()
        self._order_views = order_views
        order_service = order_pb2.DESCRIPTOR.services_by_name["OrderService"]
        catalog_service = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]
        inventory_service = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"]
        self._payment = _effect(order_service, "RecordPayment", orders.RecordPayment)
        self._storefront = {
            ORDER_PLACED: _effect(order_service, "CreateOrder", orders.CreateOrder),
            "payment.updated": self._payment,
            "order.processing": _effect(order_service, "ProcessOrder", orders.ProcessOrder),
            "order.fulfilled": _effect(order_service, "FulfillOrder", orders.FulfillOrder),
            "order.cancelled": _effect(order_service, "CancelOrder", orders.CancelOrder),
            "order.returned": _effect(order_service, "ReturnOrder", orders.ReturnOrder),
            "order.charged": _effect(order_service, "AddCharge", orders.AddCharge),
        }
        self._pms = {
            "product.upserted": _effect(catalog_service, "ImportProducts", catalog.import_product),
            "product.published": _effect(catalog_service, "PublishProduct", catalog.PublishProduct),
            "product.unpublished": _effect(catalog_service, "UnpublishProduct", catalog.UnpublishProduct),
            "product.archived": _effect(catalog_service, "ArchiveProduct", catalog.ArchiveProduct),
            "product.restored": _effect(catalog_service, "RestoreProduct", catalog.RestoreProduct),
            "product.sku_renamed": _effect(catalog_service, "RenameSku", catalog.RenameSku),
            "stock.adjusted": _effect(inventory_service, "AdjustStock", inventory.AdjustStock),
            STOCK_SYNCED: _effect(inventory_service, "SyncStock", inventory.sync),
        }

    async def ReceiveStorefrontWebhook(self, request: HttpBody, context: Context) -> pb.ReceiveWebhookResponse:
        return await self._receive("storefront", self._storefront, request.data, context)

    async def ReceivePmsWebhook(self, request: HttpBody, context: Context) -> pb.ReceiveWebhookResponse:
        return await self._receive("pms", self._pms, request.data, context)

    async def ReceiveStripeWebhook(self, request: HttpBody, context: Context) -> pb.ReceiveWebhookResponse:
        verify_stripe(request.data, _headers(context), self._secrets.stripe)
        event = _parse(request.data)
        event_id = event_id_of(event)
        ignored = await self._record(event, event_id, context)
        if ignored:
            log.debug("nothing is done about %s %s: %s", event["type"], event_id, ignored)
        return pb.ReceiveWebhookResponse(webhook_id=event_id, type=event["type"], ignored=ignored)

    async def _record(self, event: Mapping[str, Any], event_id: str, context: Context) -> str | None:
        """Records what a Stripe event says of an order of ours; returns why nothing is done, or None when it is done.

        Stripe repeats for days what is refused, and then switches the endpoint off. So what is none of ours, or will
        not be accepted later either, is no error.
        """
        if event["type"] not in READERS:
            return NO_MONEY_MOVED
        subject = subject_of(event)
        order = await self._order_views.find_paid(subject.order_id, PROVIDER, subject.tender)
        if order is None:
            return NO_ORDER
        order_id, currency = order
        payments = payments_of(event, order_id)
        try:
            if payments and currency_of(event) != currency:
                raise CurrencyMismatch("amount", expected=currency, actual=currency_of(event))
            for number, payment in enumerate(payments):
                await _run("stripe", self._payment, payment, event_id + number * "+", context)
        except Refusal as refusal:
            if refusal.code is not Code.FAILED_PRECONDITION and not isinstance(refusal, FOR_GOOD):
                raise
            log.warning("%s %s is not recorded with order %s: %s", event["type"], event_id, order_id, refusal.message)
            return refusal.reason
        return None if payments else NO_MONEY_MOVED

    async def _receive(
        self, source: str, effects: Mapping[str, Effect], body: bytes, context: Context
    ) -> pb.ReceiveWebhookResponse:
        own = self._secrets.standard.get(source, ())
        webhook_id, secret = verify_standard(body, _headers(context), [*own, *self._secrets.shared])
        read = beside if len(body) > SHORT else at_once
        webhook = await read(partial(_parse, body))
        self._check_endpoint(source, webhook, shared=secret not in own)
        effect = effects.get(webhook["type"])
        if effect is None:
            raise WebhookTypeUnknown(webhook["type"])
        message = await read(partial(_message, webhook, effect))
        done = await _run(source, effect, message, webhook_id, context)
        return pb.ReceiveWebhookResponse(
            webhook_id=webhook_id,
            type=webhook["type"],
            order=done if webhook["type"] == ORDER_PLACED else None,
            synced=done if webhook["type"] == STOCK_SYNCED else None,
        )

    def _check_endpoint(self, source: str, webhook: Mapping[str, Any], *, shared: bool) -> None:
        """Refuses what was signed for another endpoint, and, unless a shared secret has signed it, for none."""
        if shared and source not in self._warned:
            self._warned.add(source)
            log.warning(
                "webhooks to the endpoint %s are signed with WEBHOOK_SECRET, which goes with the next release: they "
                "have to be signed with the endpoint's own secret, and to name the endpoint",
                source,
            )
        if webhook.get("endpoint", source if shared else None) != source:
            raise WebhookBodyInvalid("endpoint", f'expected "{source}", for which this is to be signed')


async def _run(source: str, effect: Effect, message: Any, webhook_id: str, context: Context) -> Any:
    """Calls the method as the webhook's sender and returns its response. The request_id is made from the id, so a
    repetition is recognised."""
    message.request_id = str(uuid5(NAMESPACE_URL, f"webhook:{webhook_id}"))
    validate(message)
    current_call.set(Call(Caller(f"webhook:{source}", Role.PMS), effect.method))
    return await effect.run(message, context)


def _message(webhook: Mapping[str, Any], effect: Effect) -> Any:
    """Returns the request that is the data of a webhook; WebhookBodyInvalid."""
    try:
        return parse(find(webhook, "data", dict), effect.request())
    except JsonInvalid as error:
        field = f"data.{error.path}".rstrip(".")
        raise WebhookBodyInvalid(field, error.words) from error


def _parse(body: bytes) -> dict[str, Any]:
    """Returns the body as an object with a `type`; WebhookBodyInvalid."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookBodyInvalid("", "the body must be a JSON object") from error
    type_ = find(parsed, "type", str)
    if not (type_.isprintable() and len(type_) <= MAX_TYPE_LENGTH):
        raise WebhookBodyInvalid("type", f"must be text of at most {MAX_TYPE_LENGTH} printable characters")
    found: dict[str, Any] = parsed
    return found


def _headers(context: Context) -> Mapping[str, str]:
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
