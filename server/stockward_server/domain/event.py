"""Events: what is published after a change. One event is one step of its aggregate's version."""

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

SHARDS = 64
"""Number of outbox shards; all events of one aggregate are in one shard."""

EVENT_TYPES: Mapping[str, Sequence[str]] = {
    "product": ("created", "updated", "scheduled", "published", "unpublished", "archived", "restored", "sku_renamed"),
    "stock": ("changed", "low", "recovered", "depleted", "shortfall", "renamed"),
    "reservation": ("created", "extended", "released", "expired", "converted"),
    "order": (
        *("created", "processing", "partially_fulfilled", "fulfilled", "cancelled", "expired", "returned"),
        *("charged", "held", "released"),
    ),
    "payment": ("updated",),
    "endpoint": ("failing", "disabled", "pinged"),
}
"""The second part of every type by its first one: `order.created` and so on."""

STOREFRONT_EVENTS = ("product.unpublished", "reservation.*", "order.*", "payment.*")
"""What a storefront always receives: that a product is to be taken down, and customers' own holds and orders."""

STAFF_ONLY = ("order.held", "order.released")
"""What no storefront receives: that an order waits, and why, is between staff."""

STOREFRONT_EVENTS_WHILE_PUBLISHED = ("product.*", "stock.*")
"""What a storefront receives of a product that is published, and of its stock, since it was last published; it receives
no other events. So drafts stay secret after they are published, and a storefront that receives product.published has to
read the product and its availability."""

PINGED = "endpoint.pinged"
"""The trial of one endpoint; no other one receives it."""

SYSTEM = "system"
"""The actor of what time brings about."""

CUSTOMER = "customer"
"""The actor of what customers do by tokens of their own: the record is kept for years, and says of none who it was."""


class Movement(NamedTuple):
    """One row of the ledger: what changed, and the counters (units) after it. Ordered as it is stored."""

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
    """A stock level as it stands right now, and the movement that brought it there, if one did."""

    level: StockLevel
    movement: Movement | None = None
    renamed_from: str = ""
    """The SKU before, when this is the first event under the new one."""
    renamed_to: str = ""
    """The new SKU, when this is the last event under the old one."""

    @property
    def aggregate_id(self) -> str:
        return f"{self.level.sku}@{self.level.location_id}"


@dataclass(frozen=True, slots=True)
class SkuRenamed:
    """A product one of whose SKUs was renamed; it has the new one."""

    product: Product
    sku: str
    new_sku: str


class EndpointState(IntEnum):
    """Whether webhooks are sent to an endpoint."""

    ENABLED = 1
    DISABLED = 2


@dataclass(frozen=True, slots=True)
class EndpointNews:
    """An endpoint of webhooks as it stands. `reason` is why it is disabled or failing; `failing_since` is None while it
    takes deliveries."""

    endpoint_id: str
    url: str
    state: EndpointState
    reason: str = ""
    failing_since: datetime | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port: the rest of the URL, and a user in it, may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


EventData: TypeAlias = Product | SkuRenamed | StockNews | Reservation | Order | EndpointNews
"""What an event is about, as it is right after the change."""


class Event(NamedTuple):
    """One change of one aggregate. `type` is such as `order.created`; `version` its number within the aggregate."""

    event_id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int
    time: datetime
    actor: str
    request_id: str
    data: EventData


class RecordedEvent(NamedTuple):
    """An event as it is stored: encoded."""

    event_id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int
    payload: bytes
    traceparent: str = ""
    """W3C Trace Context of what brought it about."""

    @property
    def shard(self) -> int:
        return shard_of(self.aggregate_id)


def shard_of(aggregate_id: str) -> int:
    """The outbox shard of an aggregate's events."""
    return crc32(aggregate_id.encode()) % SHARDS
