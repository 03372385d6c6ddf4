"""Reading stock and reservations, and editing locations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from stockward_server.application.alerts import Alert
from stockward_server.application.context import MutationContext
from stockward_server.application.ports.pages import Page
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.domain.etag import etag_of
from stockward_server.domain.event import Movement
from stockward_server.domain.reservation import Reservation, ReservationState
from stockward_server.domain.stock import AlertLevel, MovementKind, StockLevel


@dataclass(frozen=True, slots=True)
class AvailabilityRow:
    """Units of one SKU that can be ordered now; never negative."""

    sku: str
    available: int
    read_time: datetime
    published: bool
    """Whether the product of the SKU is published."""
    untracked: bool = False
    """Whether its stock is not tracked; `available` is then the maximum of one order."""


@dataclass(frozen=True, slots=True)
class MovementRow:
    """A row of the ledger."""

    movement_id: int
    movement: Movement
    create_time: datetime


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert with its id."""

    alert_id: int
    alert: Alert


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A location of stock."""

    location_id: str
    name: str
    priority: int
    active: bool
    create_time: datetime | None = None

    @property
    def etag(self) -> str:
        """Etag that changes with every change."""
        return etag_of(self.name, self.priority, self.active)


@dataclass(frozen=True, slots=True)
class Claim:
    """Units that a reservation or an order owns; exactly one of the two ids is set."""

    location_id: str
    quantity: int
    reservation_id: str | None
    order_id: str | None
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Claims:
    """The oldest claims, and the total number of claims."""

    oldest: Sequence[Claim]
    count: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The figures behind the availability of a SKU."""

    levels: Sequence[StockLevel]
    """Its stock rows at all locations, by priority."""
    available: int
    """Units that can be ordered now."""
    untracked: bool
    claims: Claims


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A counter that differs from the ledger or the open claims."""

    sku: str
    location_id: str
    counter: str
    counted: int
    ledger: int
    claimed: int


class LevelSort(StrEnum):
    """Sort orders of a list of stock levels, always followed by SKU and location."""

    SKU = "sku"
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class LevelFilter:
    """Every field that is set must match. `search` is that of a list of products."""

    sku: str = ""
    location_id: str = ""
    alert_levels: Sequence[AlertLevel] = ()
    search: str = ""
    vendor: str = ""
    tag: str = ""
    available_below: int | None = None
    """Units."""
    include_unstocked: bool = False
    """Whether SKUs without a stock row are listed as well."""
    sort: LevelSort = LevelSort.SKU
    descending: bool = False


@dataclass(frozen=True, slots=True)
class MovementFilter:
    """Every field that is set must match."""

    sku: str | None = None
    location_id: str | None = None
    kind: MovementKind | None = None
    reference: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one SKU at one moment, in units."""

    time: datetime
    on_hand: int
    reserved: int
    allocated: int


@dataclass(frozen=True, slots=True)
class StockHistory:
    """Counters at moments of the past, oldest first; the moments before `known_since` are left out."""

    counters: Sequence[Counters]
    known_since: datetime | None
    """The oldest moment that the ledger reaches; None when none of it is gone."""


@dataclass(frozen=True, slots=True)
class ReservationFilter:
    """Every field that is set must match."""

    state: ReservationState | None = None
    sku: str | None = None
    customer_id: str | None = None


class StockViews(Protocol):
    """Reads of stock. Lists return at most `page.size` rows after `page.after`."""

    async def levels(self, page: Page, skus: Sequence[str], location_id: str | None) -> Sequence[StockLevel]:
        """Returns stock rows of these SKUs (none: of all SKUs)."""
        ...

    async def list_levels(self, page: Page, wanted: LevelFilter) -> Sequence[StockLevel]:
        """Returns levels that match; those of SKUs without a stock row have version 0."""
        ...

    async def alerts(self, page: Page, sku: str | None, include_cleared: bool) -> Sequence[AlertRow]: ...

    async def movements(self, page: Page, wanted: MovementFilter) -> Sequence[MovementRow]: ...

    async def explain(self, sku: str) -> Explanation | None:
        """Returns everything that determines the availability of a SKU, in one snapshot; None for an unknown SKU."""
        ...

    async def history(self, sku: str, location_id: str | None, moments: Sequence[datetime]) -> StockHistory | None:
        """Returns the counters of a SKU at these moments, in one snapshot; location None: summed over all. None for an
        unknown SKU. Raises LocationUnknown."""
        ...

    async def verify(self, sku: str | None) -> tuple[int, Sequence[Discrepancy]]:
        """Compares stock rows with the ledger and the open claims in one snapshot; returns their number and the
        discrepancies."""
        ...

    async def reservation(self, reservation_id: str) -> Reservation | None: ...

    async def reservations(self, page: Page, wanted: ReservationFilter) -> Sequence[Reservation]: ...

    async def locations(self, page: Page) -> Sequence[LocationRow]: ...


class Locations(Protocol):
    """Edits of locations, once per request_id."""

    async def create(
        self, request: MutationContext, location: LocationRow, codec: ResponseCodec[LocationRow, M]
    ) -> M: ...

    async def update(
        self,
        request: MutationContext,
        location: LocationRow,
        fields: Sequence[str],
        etag: str,
        codec: ResponseCodec[LocationRow, M],
    ) -> M: ...
