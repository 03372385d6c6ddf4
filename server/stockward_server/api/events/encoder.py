"""Domain events as stockward.event.v1.Event, encoded once, at the moment of the change."""

from __future__ import annotations

from dataclasses import replace

from stockward.event.v1 import event_pb2 as pb
from stockward.order.v1.order_pb2 import OrderSnapshot

from stockward_server.api.inventory.messages import reservation_lines
from stockward_server.api.orders.messages import (
    charge_message,
    fulfillment_message,
    return_message,
    snapshot_message,
)
from stockward_server.domain.event import EndpointNews, Event, SkuRenamed, StockNews
from stockward_server.domain.order import Order
from stockward_server.domain.product import Product
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.timeline import NOTHING, About
from stockward_server.wire.enums import wire
from stockward_server.wire.money import money_message
from stockward_server.wire.times import timestamp


def encode_event(event: Event) -> bytes:
    """The event as it is stored, published and sent."""
    message = pb.Event(
        event_id=event.event_id,
        type=event.type,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        aggregate_version=event.version,
        time=timestamp(event.time),
        actor=event.actor,
        request_id=event.request_id,
    )
    match event.data:
        case StockNews():
            message.stock.CopyFrom(_stock(event.data))
        case Order():
            message.order.CopyFrom(_order(event.data, event.about))
        case Reservation():
            message.reservation.CopyFrom(_reservation(event.data))
        case Product():
            message.product.CopyFrom(_product(event.data))
        case SkuRenamed():
            message.product.CopyFrom(_product(event.data.product))
            message.product.renamed.from_sku, message.product.renamed.to_sku = event.data.sku, event.data.new_sku
        case EndpointNews():
            message.endpoint.CopyFrom(_endpoint(event.data))
    return message.SerializeToString()


def _stock(news: StockNews) -> pb.StockEvent:
    level, movement = news.level, news.movement
    message = pb.StockEvent(
        sku=level.sku,
        location_id=level.location_id,
        on_hand=level.on_hand,
        reserved=level.reserved,
        allocated=level.allocated,
        safety_stock=level.safety_stock,
        available=level.available,
        reorder_point=level.reorder_point,
        renamed_from_sku=news.renamed_from,
        renamed_to_sku=news.renamed_to,
        backorder_limit=level.backorder_limit,
        alert_level=wire(level.alert_level) or None,
        overhang=level.overhang,
    )
    if movement is not None:
        message.kind = wire(movement.kind)
        message.on_hand_delta = movement.on_hand_delta
        message.reserved_delta = movement.reserved_delta
        message.allocated_delta = movement.allocated_delta
        message.reference = movement.reference
    return message


def _order(order: Order, about: About) -> OrderSnapshot:
    snapshot = snapshot_message(order)
    if about is NOTHING:
        return snapshot
    snapshot.reason = about.note
    if about.fulfillment is not None:
        snapshot.fulfillment.CopyFrom(fulfillment_message(about.fulfillment))
    if about.charge is not None:
        snapshot.charge.CopyFrom(charge_message(about.charge, order.currency))
    if about.return_id:
        returned = next(each for each in order.returns if each.return_id == about.return_id)
        snapshot.order_return.CopyFrom(return_message(replace(returned, note="", label_url="")))
    return snapshot


def _reservation(reservation: Reservation) -> pb.ReservationEvent:
    return pb.ReservationEvent(
        reservation_id=reservation.reservation_id,
        state=wire(reservation.state),
        lines=reservation_lines(reservation),
        expire_time=timestamp(reservation.expire_time),
        order_id=reservation.order_id or "",
    )


def _product(product: Product) -> pb.ProductEvent:
    return pb.ProductEvent(
        product_id=product.product_id,
        state=wire(product.state),
        handle=product.handle,
        title=product.title,
        variants=[
            pb.ProductEvent.Variant(
                sku=variant.sku,
                title=variant.title,
                price=money_message(variant.price.currency, variant.price.minor),
                untracked=variant.untracked,
            )
            for variant in product.variants
        ],
        publish_time=timestamp(product.publish_time),
        scheduled_publish_time=timestamp(product.scheduled_publish_time),
    )


def _endpoint(news: EndpointNews) -> pb.EndpointEvent:
    return pb.EndpointEvent(
        endpoint_id=news.endpoint_id,
        url=news.origin,
        state=wire(news.state),
        reason=news.reason,
        failing_since=timestamp(news.failing_since),
    )
