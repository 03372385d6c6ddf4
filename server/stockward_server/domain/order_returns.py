"""Returns step by step: announced, received in parts, closed or withdrawn.

The units of an order are shared among its returns: what one expects, no other announces and no parcel takes along.
Amounts change by what came only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from stockward_server.domain.errors import (
    FieldInvalid,
    QuantityExceeded,
    ReturnLimitReached,
    ReturnNotFound,
    ReturnStateInvalid,
)
from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.order_steps import decide_return, require_returnable, require_state
from stockward_server.domain.returns import OPEN_RETURNS, OrderReturn, ReturnLine, ReturnState
from stockward_server.domain.stock import StockChange

MAX_RETURNS = 100
"""Maximum number of returns of an order with which another one is announced; customers may announce them, too."""


@dataclass(frozen=True, slots=True)
class ReturnChange:
    """New values of a return; None leaves one as it is."""

    tracking_number: str | None = None
    carrier: str | None = None
    label_url: str | None = None
    note: str | None = None


def decide_announcement(order: Order, announced: OrderReturn, now: datetime) -> Order:
    """Adds a return of which nothing came. Raises QuantityExceeded when fewer units are with the customer and in no
    other return."""
    require_state(order, "announce a return of", OrderState.PARTIALLY_FULFILLED, OrderState.FULFILLED)
    if len(order.returns) >= MAX_RETURNS:
        raise ReturnLimitReached(order.order_id, MAX_RETURNS)
    require_returnable(order, announced.missing)
    return replace(order, returns=(*order.returns, announced), update_time=now)


def decide_return_update(order: Order, return_id: str, change: ReturnChange, now: datetime) -> Order:
    """Corrects a return that is not withdrawn."""
    found = _return(order, return_id)
    if found.state is ReturnState.WITHDRAWN:
        raise ReturnStateInvalid(order.order_id, return_id, found.state.name, "update")
    updated = replace(
        found,
        tracking_number=found.tracking_number if change.tracking_number is None else change.tracking_number,
        carrier=found.carrier if change.carrier is None else change.carrier,
        label_url=found.label_url if change.label_url is None else change.label_url,
        note=found.note if change.note is None else change.note,
    )
    return _with(order, updated, now)


def decide_receipt(
    order: Order,
    return_id: str,
    restocked: Mapping[int, int],
    damaged: Mapping[int, int],
    location_id: str,
    note: str,
    now: datetime,
) -> tuple[Order, Mapping[int, int], list[StockChange]]:
    """Receives units of a return by line number, at `location_id` or written off; all that are expected, as restocked,
    when none are named. Returns the order, the units that came and the changes of stock. The ledger has the `note`: the
    reason of the return may be a customer's words, and the ledger is for good.

    Raises QuantityExceeded when the return expects fewer.
    """
    found = _return(order, return_id)
    if found.state not in OPEN_RETURNS:
        raise ReturnStateInvalid(order.order_id, return_id, found.state.name, "receive")
    if not restocked and not damaged:
        restocked = found.missing
    came = Counter(restocked) + Counter(damaged)
    _require_expected(order, found, came)
    lines = tuple(
        replace(
            line,
            received=line.received + came[line.line_number],
            damaged=line.damaged + damaged.get(line.line_number, 0),
        )
        for line in found.lines
    )
    complete = all(not line.missing for line in lines)
    state = ReturnState.RECEIVED if complete else ReturnState.PARTIALLY_RECEIVED
    others = replace(order, returns=tuple(each for each in order.returns if each is not found))
    returned, changes = decide_return(others, restocked, damaged, location_id, note, now)
    received = _with(replace(returned, returns=order.returns), replace(found, state=state, lines=lines), now)
    return received, came, changes


def decide_return_at_once(
    order: Order,
    returned: OrderReturn,
    restocked: Mapping[int, int],
    damaged: Mapping[int, int],
    location_id: str,
    now: datetime,
) -> tuple[Order, list[StockChange]]:
    """Receives units that were not announced, as a return of which everything came."""
    after, changes = decide_return(order, restocked, damaged, location_id, returned.reason, now)
    came = Counter(restocked) + Counter(damaged)
    lines = tuple(ReturnLine(number, came[number], came[number], damaged.get(number, 0)) for number in sorted(came))
    record = replace(returned, state=ReturnState.RECEIVED, lines=lines)
    return replace(after, returns=(*after.returns, record)), changes


def decide_return_closing(order: Order, return_id: str, now: datetime) -> Order:
    """Closes a return of which a part came; the rest stays with the customer."""
    return _ended(order, return_id, ReturnState.PARTIALLY_RECEIVED, ReturnState.CLOSED, "close", now)


def decide_return_withdrawal(order: Order, return_id: str, now: datetime) -> Order:
    """Withdraws a return of which nothing came."""
    return _ended(order, return_id, ReturnState.ANNOUNCED, ReturnState.WITHDRAWN, "withdraw", now)


def require_exchangeable(order: Order, return_id: str, customer_id: str) -> None:
    """Checks that a new order of this customer can be the exchange for a return of `order`. Raises FieldInvalid for
    another customer's."""
    found = _return(order, return_id)
    if found.state is ReturnState.WITHDRAWN:
        raise ReturnStateInvalid(order.order_id, return_id, found.state.name, "exchange")
    if customer_id and order.customer.customer_id not in ("", customer_id):
        raise FieldInvalid("exchange_of.order_id", "the order is another customer's")


def return_of(order: Order, return_id: str) -> OrderReturn | None:
    """Returns the return with this id, if the order has it."""
    return next((each for each in order.returns if each.return_id == return_id), None)


def _ended(
    order: Order, return_id: str, required: ReturnState, state: ReturnState, action: str, now: datetime
) -> Order:
    found = _return(order, return_id)
    if found.state is not required:
        raise ReturnStateInvalid(order.order_id, return_id, found.state.name, action)
    return _with(order, replace(found, state=state), now)


def _require_expected(order: Order, found: OrderReturn, came: Mapping[int, int]) -> None:
    expected = found.missing
    for line in order.lines:
        units, remaining = came.get(line.line_number, 0), expected.get(line.line_number, 0)
        if units > remaining:
            raise QuantityExceeded(
                order.order_id,
                line.line_number,
                line.sku,
                requested=units,
                remaining=remaining,
                return_id=found.return_id,
            )


def _return(order: Order, return_id: str) -> OrderReturn:
    found = return_of(order, return_id)
    if found is None:
        raise ReturnNotFound(order.order_id, return_id)
    return found


def _with(order: Order, changed: OrderReturn, now: datetime) -> Order:
    changed = replace(changed, update_time=now)
    returns = (changed if each.return_id == changed.return_id else each for each in order.returns)
    return replace(order, returns=tuple(returns), update_time=now)
