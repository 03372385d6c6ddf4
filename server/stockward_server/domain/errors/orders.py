"""Errors about orders and payments; the reasons of order.v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from stockward_server.domain.errors.base import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stockward_server.domain.money import Money


class UnpaidOrderLimitReached(Refusal):
    """One customer, or one key without a customer, has reached the limit of unpaid orders."""

    code, reason = Code.FAILED_PRECONDITION, "UNPAID_ORDER_LIMIT_REACHED"

    @classmethod
    def of_orders(cls, limit: int, unpaid: int) -> Self:
        return cls(
            f"a customer may have {limit} unpaid orders: pay for one of them, or cancel it",
            limit=limit,
            unpaid=unpaid,
            counted="orders",
        )

    @classmethod
    def of_units(cls, limit: int, unpaid: int) -> Self:
        return cls(
            f"a customer may order {limit} units before paying, and {unpaid} are not paid for already",
            limit=limit,
            unpaid=unpaid,
            counted="units",
        )

    @classmethod
    def of_key(cls, limit: int, unpaid: int) -> Self:
        return cls(
            f"a key may have {limit} unpaid orders without a customer_id",
            limit=limit,
            unpaid=unpaid,
            counted="orders",
        )


class ReferenceTaken(Refusal):
    """Another order of the same sales channel has this reference."""

    code, reason = Code.ALREADY_EXISTS, "REFERENCE_TAKEN"

    def __init__(self, reference: str, order_id: str) -> None:
        """`order_id`: the other order; empty for a caller that may not see it."""
        which = f"order {order_id}" if order_id else "another order"
        facts: dict[str, Any] = {"order_id": order_id} if order_id else {}
        super().__init__(f"{which} has the reference {reference}", field="reference", reference=reference, **facts)


class OrderNotFound(Refusal):
    """No order has this id, or it is another customer's."""

    code, reason = Code.NOT_FOUND, "ORDER_NOT_FOUND"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}", order_id=order_id)


class OrderStateInvalid(Refusal):
    """The order's state does not allow this step, such as `cancel`."""

    code, reason = Code.FAILED_PRECONDITION, "ORDER_STATE_INVALID"

    def __init__(self, order_id: str, state: str, action: str, *, staff_may: bool = False) -> None:
        """`action`: a verb with its object; `staff_may`: whether staff may do this in the same state."""
        hint = ", and then it is for staff only" if staff_may else ""
        super().__init__(
            f"cannot {action} order {order_id}: it is {state}{hint}",
            order_id=order_id,
            state=state,
            action=action.split()[0],
        )


class PaymentRequired(Refusal):
    """The order's payment terms are not met."""

    code, reason = Code.FAILED_PRECONDITION, "PAYMENT_REQUIRED"

    def __init__(self, order_id: str, payment_state: str) -> None:
        super().__init__(
            f"order {order_id} is prepaid and its payment is {payment_state}",
            order_id=order_id,
            payment_state=payment_state,
        )


class QuantityExceeded(Refusal):
    """The request names more units of a line than remain."""

    code, reason = Code.FAILED_PRECONDITION, "QUANTITY_EXCEEDED"

    def __init__(
        self,
        order_id: str,
        line_number: int,
        sku: str,
        *,
        requested: int,
        remaining: int,
        announced: int = 0,
        return_id: str | None = None,
    ) -> None:
        """`announced`: units that remain beside these and are expected in returns; `return_id`: the return of which so
        few are expected."""
        left = f"{remaining} remain" if return_id is None else f"{remaining} are expected in return {return_id}"
        hint = f", and {announced} more are expected in returns" if announced else ""
        super().__init__(
            f"line {line_number} ({sku}): {requested} named, {left}{hint}",
            order_id=order_id,
            line_number=line_number,
            requested=requested,
            remaining=remaining,
            announced=announced or None,
            return_id=return_id,
        )


class PriceChanged(Refusal):
    """The customer was shown a price other than the current one."""

    code, reason = Code.FAILED_PRECONDITION, "PRICE_CHANGED"

    def __init__(self, sku: str, field: str, *, shown: Money, current: Money | None) -> None:
        """`current` is None when it may not be shown: the price of a product that is no longer published."""
        super().__init__(
            f"{sku} no longer costs {shown}" if current is None else f"{sku} costs {current}, not {shown}",
            field=field,
            sku=sku,
            shown=shown,
            current=current,
        )


class CurrencyMismatch(Refusal):
    """An amount is not in the currency of the order."""

    code, reason = Code.FAILED_PRECONDITION, "CURRENCY_MISMATCH"

    def __init__(self, field: str, *, expected: str, actual: str) -> None:
        super().__init__(f"{actual} where {expected} is expected", field=field, expected=expected, actual=actual)


class PaymentEventConflict(Refusal):
    """The provider's event was already recorded with other content."""

    code, reason = Code.ALREADY_EXISTS, "PAYMENT_EVENT_CONFLICT"

    def __init__(self, provider: str, provider_event_id: str) -> None:
        super().__init__(
            f"{provider} event {provider_event_id} is known with other content",
            field="provider_event_id",
            provider=provider,
            provider_event_id=provider_event_id,
        )


class LineUnknown(Refusal):
    """The order has no such line."""

    code, reason = Code.INVALID_ARGUMENT, "LINE_UNKNOWN"

    def __init__(self, line_number: int, field: str, order_id: str | None = None) -> None:
        """`order_id` is None for an order that is being created."""
        order = "the order" if order_id is None else f"order {order_id}"
        super().__init__(f"{order} has no line {line_number}", field=field, order_id=order_id, line_number=line_number)


class TenderOfAnotherOrder(Refusal):
    """The tender has paid for another order."""

    code, reason = Code.FAILED_PRECONDITION, "TENDER_OF_ANOTHER_ORDER"

    def __init__(self, order_id: str, provider: str, payment_reference: str) -> None:
        super().__init__(
            f"{provider} payment {payment_reference} belongs to another order",
            field="payment_reference",
            order_id=order_id,
            provider=provider,
            payment_reference=payment_reference,
        )


class RefundExceeded(Refusal):
    """The failed amount exceeds the tender's refunds."""

    code, reason = Code.FAILED_PRECONDITION, "REFUND_EXCEEDED"

    def __init__(self, order_id: str, provider: str, payment_reference: str, *, failed: Money, refunded: Money) -> None:
        super().__init__(
            f"{failed} of a refund failed, and {refunded} of this tender is refunded: "
            "send it again when the refund itself is recorded",
            field="amount",
            order_id=order_id,
            provider=provider,
            payment_reference=payment_reference,
        )


class OrderOnHold(Refusal):
    """The order is on hold, by staff or until it is paid again."""

    code, reason = Code.FAILED_PRECONDITION, "ORDER_ON_HOLD"

    @classmethod
    def for_want_of_payment(cls, order_id: str, action: str) -> Self:
        return cls(
            f"cannot {action} order {order_id}: it is on hold, as the money that stood behind it went away; "
            "a payment that covers it again releases it",
            order_id=order_id,
            hold="PAYMENT",
        )

    @classmethod
    def by_staff(cls, order_id: str, hold: str, action: str, expire_time: datetime | None) -> Self:
        """`hold` is the name of its reason; `expire_time` (UTC) is when it ends by itself."""
        ends = f"{expire_time:%Y-%m-%dT%H:%M:%SZ}" if expire_time else None
        return cls(
            f"cannot {action} order {order_id}: staff have put it on hold ({hold.lower()})"
            f"{f' until {ends}' if ends else ''}; release it first",
            order_id=order_id,
            hold=hold,
            expire_time=ends,
        )


class OrderNotOnHold(Refusal):
    """The order is not on hold."""

    code, reason = Code.FAILED_PRECONDITION, "ORDER_NOT_ON_HOLD"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {order_id} is not on hold", order_id=order_id)


class ChargeExceeded(Refusal):
    """A discount or credit exceeds the remaining amount."""

    code, reason = Code.FAILED_PRECONDITION, "CHARGE_EXCEEDED"

    def __init__(self, kind: str, field: str, *, amount: Money, left: Money) -> None:
        super().__init__(
            f"a {kind} of {amount} takes off more than the {left} that are left",
            field=field,
            amount=amount,
            left=left,
        )


class LineCharged(Refusal):
    """The line cannot be removed, as a charge names it."""

    code, reason = Code.FAILED_PRECONDITION, "LINE_CHARGED"

    def __init__(self, order_id: str, line_number: int, charge: str, field: str) -> None:
        """`charge` is the kind of the charge, such as `discount`."""
        super().__init__(
            f"line {line_number} cannot be removed: a {charge} of the order names it",
            field=field,
            order_id=order_id,
            line_number=line_number,
        )


class FulfillmentNotFound(Refusal):
    """The order has no such parcel."""

    code, reason = Code.NOT_FOUND, "FULFILLMENT_NOT_FOUND"

    def __init__(self, order_id: str, fulfillment_id: str) -> None:
        super().__init__(
            f"order {order_id} has no parcel {fulfillment_id}",
            field="fulfillment_id",
            order_id=order_id,
            fulfillment_id=fulfillment_id,
        )


class FulfillmentStateInvalid(Refusal):
    """The parcel's state does not allow this action."""

    code, reason = Code.FAILED_PRECONDITION, "FULFILLMENT_STATE_INVALID"

    def __init__(self, order_id: str, fulfillment_id: str, state: str, action: str) -> None:
        hint = "; what was delivered comes back by a return" if state == "DELIVERED" else ""
        super().__init__(
            f"cannot {action} parcel {fulfillment_id}: it is {state}{hint}",
            order_id=order_id,
            fulfillment_id=fulfillment_id,
            state=state,
            action=action,
        )


class ReturnNotFound(Refusal):
    """The order has no such return."""

    code, reason = Code.NOT_FOUND, "RETURN_NOT_FOUND"

    def __init__(self, order_id: str, return_id: str) -> None:
        super().__init__(
            f"order {order_id} has no return {return_id}", field="return_id", order_id=order_id, return_id=return_id
        )


class ReturnStateInvalid(Refusal):
    """The return's state does not allow this action."""

    code, reason = Code.FAILED_PRECONDITION, "RETURN_STATE_INVALID"

    _HINTS: ClassVar[Mapping[tuple[str, str], str]] = {
        ("close", "ANNOUNCED"): "; nothing of it came: withdraw it",
        ("close", "RECEIVED"): "; all of it came",
        ("withdraw", "PARTIALLY_RECEIVED"): "; a part of it came: close it",
    }

    def __init__(self, order_id: str, return_id: str, state: str, action: str) -> None:
        super().__init__(
            f"cannot {action} return {return_id}: it is {state}{self._HINTS.get((action, state), '')}",
            order_id=order_id,
            return_id=return_id,
            state=state,
            action=action,
        )


class ReturnLimitReached(Refusal):
    """The order has reached the maximum number of returns."""

    code, reason = Code.FAILED_PRECONDITION, "RETURN_LIMIT_REACHED"

    def __init__(self, order_id: str, limit: int) -> None:
        super().__init__(
            f"order {order_id} has {limit} returns, the most with which another one can be announced",
            order_id=order_id,
            limit=limit,
        )


class ChargeLimitReached(Refusal):
    """The order has reached the maximum number of charges."""

    code, reason = Code.FAILED_PRECONDITION, "CHARGE_LIMIT_REACHED"

    def __init__(self, order_id: str, limit: int) -> None:
        super().__init__(
            f"order {order_id} has {limit} charges, the most that an order may have", order_id=order_id, limit=limit
        )
