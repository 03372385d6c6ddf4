"""Errors about stock and reservations; the reasons of inventory.v1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from stockward_server.domain.errors.base import Code, PreconditionViolation, Refusal

MAX_LOCATIONS_NAMED = 10
"""Maximum number of locations in a message."""


class Shortage(NamedTuple):
    """A SKU of which fewer units are available than requested."""

    sku: str
    requested: int
    available: int

    def __str__(self) -> str:
        return f"{self.requested} wanted, {self.available} available"


class SkuUnknown(Refusal):
    """No variant has this SKU; for a storefront also one whose product is not published."""

    code, reason = Code.NOT_FOUND, "SKU_UNKNOWN"

    def __init__(self, sku: str, field: str = "sku") -> None:
        super().__init__(f"no variant has the SKU {sku!r}", field=field, sku=sku)


class LocationUnknown(Refusal):
    """No location has this id."""

    code, reason = Code.NOT_FOUND, "LOCATION_UNKNOWN"

    def __init__(self, location_id: str, field: str = "location_id") -> None:
        super().__init__(f"there is no location {location_id!r}", field=field, location_id=location_id)


class LocationTaken(Refusal):
    """A location with this id exists."""

    code, reason = Code.ALREADY_EXISTS, "LOCATION_TAKEN"

    def __init__(self, location_id: str) -> None:
        super().__init__(
            f"there is a location {location_id!r} already", field="location.location_id", location_id=location_id
        )


class InsufficientStock(Refusal):
    """Fewer units are available than requested."""

    code, reason = Code.FAILED_PRECONDITION, "INSUFFICIENT_STOCK"

    def __init__(self, short: Sequence[Shortage]) -> None:
        """`short`: at least one SKU; the message is about the first."""
        first = short[0]
        more = f" ({len(short)} SKUs are short)" if len(short) > 1 else ""
        super().__init__(
            f"{first.sku}: {first}{more}",
            preconditions=[PreconditionViolation("STOCK", each.sku, str(each)) for each in short],
            **first._asdict(),
        )


class StockNotTracked(Refusal):
    """The variant's stock is not tracked, so it has no counters."""

    code, reason = Code.FAILED_PRECONDITION, "STOCK_NOT_TRACKED"

    def __init__(self, sku: str) -> None:
        super().__init__(
            f"the stock of {sku} is not tracked: it never runs out, so there is nothing to count or to set; "
            "have the variant tracked first",
            field="sku",
            sku=sku,
        )


class StockNegative(Refusal):
    """The change would make on_hand negative."""

    code, reason = Code.FAILED_PRECONDITION, "STOCK_NEGATIVE"

    @classmethod
    def by_adjustment(cls, sku: str, location_id: str, on_hand: int, delta: int) -> Self:
        return cls(
            f"{sku} at {location_id} has {on_hand} on hand and cannot change by {delta}",
            sku=sku,
            location_id=location_id,
            on_hand=on_hand,
            delta=delta,
        )

    @classmethod
    def in_parcel(
        cls,
        sku: str,
        order_id: str,
        line_number: int,
        wanted: int,
        there: Mapping[str, int],
        location_id: str,
    ) -> Self:
        """For `wanted` units of an order's line. `there`: units available to this order, by location. `location_id`:
        where they should ship from, empty for any location."""
        missing = wanted - (there.get(location_id, 0) if location_id else sum(there.values()))
        places = [f"{units} at {place}" for place, units in there.items() if units][:MAX_LOCATIONS_NAMED]
        return cls(
            f"{missing} of {wanted} {sku} are not on hand{f' at {location_id}' if location_id else ''} yet: "
            f"this order can have {', '.join(places) or 'none anywhere'}",
            field="location_id" if location_id else None,
            sku=sku,
            order_id=order_id,
            line_number=line_number,
            missing=missing,
            location_id=location_id or None,
        )


class StockChanged(Refusal):
    """on_hand is not what the caller expects."""

    code, reason = Code.FAILED_PRECONDITION, "STOCK_CHANGED"

    def __init__(self, sku: str, location_id: str, on_hand: int, expected_on_hand: int) -> None:
        super().__init__(
            f"{sku} at {location_id} has {on_hand} on hand, not {expected_on_hand}",
            sku=sku,
            location_id=location_id,
            on_hand=on_hand,
            expected_on_hand=expected_on_hand,
        )


class QuantityOverflow(Refusal):
    """A counter or a sum would exceed its maximum."""

    code, reason = Code.OUT_OF_RANGE, "QUANTITY_OVERFLOW"

    @classmethod
    def of_stock(cls, sku: str, limit: int) -> Self:
        return cls(f"{sku} cannot exceed {limit} units", sku=sku)

    @classmethod
    def of_payments(cls) -> Self:
        return cls("the order's payments are larger than can be counted", field="amount")

    @classmethod
    def of_total(cls) -> Self:
        return cls("the order's total is larger than can be counted", field="lines")


class ReservationNotFound(Refusal):
    """No reservation has this id, or it is another customer's."""

    code, reason = Code.NOT_FOUND, "RESERVATION_NOT_FOUND"

    def __init__(self, reservation_id: str) -> None:
        super().__init__(
            f"there is no reservation {reservation_id}", field="reservation_id", reservation_id=reservation_id
        )


class ReservationNotActive(Refusal):
    """The reservation was released or converted to an order."""

    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_NOT_ACTIVE"

    def __init__(self, reservation_id: str, state: str) -> None:
        super().__init__(f"reservation {reservation_id} is {state}", reservation_id=reservation_id, state=state)


class ReservationExpired(Refusal):
    """The reservation has expired."""

    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_EXPIRED"

    def __init__(self, reservation_id: str, expire_time: datetime) -> None:
        """`expire_time` is in UTC."""
        text = f"{expire_time:%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(
            f"reservation {reservation_id} ran out at {text}", reservation_id=reservation_id, expire_time=text
        )


class HoldLimitReached(Refusal):
    """One customer, or one key without a customer, has reached the limit of reservations."""

    code, reason = Code.FAILED_PRECONDITION, "HOLD_LIMIT_REACHED"

    @classmethod
    def of_reservations(cls, limit: int, held: int) -> Self:
        return cls(
            f"a customer may have {limit} open reservations: order or release one of them",
            limit=limit,
            held=held,
            counted="reservations",
        )

    @classmethod
    def of_units(cls, limit: int, held: int) -> Self:
        return cls(
            f"a customer may hold {limit} units, and {held} are held already", limit=limit, held=held, counted="units"
        )

    @classmethod
    def of_key(cls, limit: int, held: int) -> Self:
        return cls(
            f"a key may have {limit} open reservations without a customer_id",
            limit=limit,
            held=held,
            counted="reservations",
        )


class ReservationLifetimeExceeded(Refusal):
    """The reservation would exceed the maximum lifetime."""

    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_LIFETIME_EXCEEDED"

    def __init__(self, reservation_id: str, limit: timedelta) -> None:
        super().__init__(
            f"a reservation may last {limit.total_seconds():.0f} s at most",
            field="ttl",
            reservation_id=reservation_id,
            limit_seconds=int(limit.total_seconds()),
        )


class ProductNotPublished(Refusal):
    """The product of the SKU is not published. Staff only: for a storefront the SKU is unknown."""

    code, reason = Code.FAILED_PRECONDITION, "PRODUCT_NOT_PUBLISHED"

    def __init__(self, sku: str, field: str) -> None:
        super().__init__(f"the product of {sku} is not published", field=field, sku=sku)
