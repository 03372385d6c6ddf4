"""Events, published after a change. One event is one step of its aggregate's version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit
from zlib import crc32

from stockward_server.domain.order import Order
from stockward_server.domain.product import Product
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.stock import AdjustmentReason, MovementKind, StockLevel
from stockward_server.domain.timeline import NOTHING, About

SHARDS = 64
"""Number of outbox shards; all events of one aggregate are in one shard."""

EVENT_TYPES: Mapping[str, Sequence[str]] = {
    "product": ("created", "updated", "scheduled", "published", "unpublished", "archived", "restored", "sku_renamed"),
    "stock": ("changed", "low", "recovered", "depleted", "shortfall", "renamed"),
    "reservation": ("created", "extended", "released", "expired", "converted"),
    "order": (
        *("created", "processing", "partially_fulfilled", "fulfilled", "cancelled", "expired", "returned"),
        *("charged", "updated", "edited", "noted", "held", "released"),
        *("fulfillment_updated", "fulfillment_cancelled"),
        *("return_announced", "return_updated", "return_closed", "return_withdrawn"),
    ),
    "payment": ("updated",),
    "endpoint": ("failing", "disabled", "pinged"),
}
"""Second parts of the event types by first part: `order.created` and so on."""

STOREFRONT_EVENTS = ("product.unpublished", "reservation.*", "order.*", "payment.*")
"""Events that a storefront always receives: products to take down, and reservations and orders of customers."""

STAFF_ONLY = ("order.noted", "order.held", "order.released")
"""Events that no storefront receives: notes on orders and their holds are internal to staff."""

STOREFRONT_EVENTS_WHILE_PUBLISHED = ("product.*", "stock.*")
"""Events that a storefront receives of a published product and its stock, from its last publication on; it receives no
others. So drafts stay secret after they are published, and a storefront that receives product.published has to read the
product and its availability."""

PINGED = "endpoint.pinged"
"""The test event of one endpoint; no other endpoint receives it."""

SYSTEM = "system"
"""Actor of changes that the system makes by schedule."""

CUSTOMER = "customer"
"""Actor of changes by customers with their own tokens: the event log is kept for years and does not name customers."""


class Movement(NamedTuple):
    """One row of the ledger: the changes, and the counters (units) after them. Ordered as it is stored."""

    sku: str
    location_id: str
    kind: MovementKind
    reason: AdjustmentReason
    on_hand_delta: int
    reserved_delta: int
    allocated_delta: int
    on_hand: int
    reserved: int
    allocated: int
    reference: str
    note: str
    actor: str


@dataclass(frozen=True, slots=True)
class StockNews:
    """A current stock level, and the movement that caused it, if any."""

    level: StockLevel
    movement: Movement | None = None
    renamed_from: str = ""
    """The former SKU, in the first event under the new one."""
    renamed_to: str = ""
    """The new SKU, in the last event under the former one."""

    @property
    def aggregate_id(self) -> str:
        return f"{self.level.sku}@{self.level.location_id}"


@dataclass(frozen=True, slots=True)
class SkuRenamed:
    """A product after one of its SKUs was renamed."""

    product: Product
    sku: str
    new_sku: str


class EndpointState(IntEnum):
    """Whether webhooks are sent to an endpoint."""

    ENABLED = 1
    DISABLED = 2


@dataclass(frozen=True, slots=True)
class EndpointNews:
    """The state of a webhook endpoint. `reason` is why it is disabled or failing; `failing_since` is None while it
    accepts deliveries."""

    endpoint_id: str
    url: str
    state: EndpointState
    reason: str = ""
    failing_since: datetime | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port: the rest of the URL, including credentials, may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


EventData: TypeAlias = Product | SkuRenamed | StockNews | Reservation | Order | EndpointNews
"""The object of an event, as it is after the change."""


class Event(NamedTuple):
    """One change of one aggregate. `type` is such as `order.created`; `version` is its number within the aggregate."""

    event_id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int
    time: datetime
    actor: str
    request_id: str
    data: EventData
    about: About = NOTHING
    """What a change of an order was about."""


class RecordedEvent(NamedTuple):
    """An event as it is stored: encoded."""

    event_id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int
    payload: bytes
    traceparent: str = ""
    """W3C Trace Context of the request that caused the event."""

    @property
    def shard(self) -> int:
        return shard_of(self.aggregate_id)


def shard_of(aggregate_id: str) -> int:
    """Returns the outbox shard of an aggregate's events."""
    return crc32(aggregate_id.encode()) % SHARDS
