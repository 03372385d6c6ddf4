"""Ends reservations and holds of orders that have expired, and orders that were not paid in time."""

from __future__ import annotations

import asyncio

from stockward_server.application.command import Command
from stockward_server.application.context import SystemCause
from stockward_server.application.order_commands import ExpireOrder
from stockward_server.application.order_desk_commands import EndHold
from stockward_server.application.ports.committer import Submit
from stockward_server.application.ports.due_work import DueWork
from stockward_server.application.postponed import NOT_ITS_FAULT, Postponed
from stockward_server.application.response_codec import NO_RESPONSE
from stockward_server.application.stock_commands import ExpireReservation

SWEEP_LIMIT = 500
"""Maximum number of each kind of work in one round: callers in the queue must not wait for a large sweep."""


async def sweep(due: DueWork, submit: Submit, postponed: Postponed) -> int:
    """Runs one round; returns how many items it handled. Several processes may sweep: each item is ended once.

    Failed work is `postponed`, so that it does not delay later work. Raises when the database is unavailable.
    """
    left_alone = postponed.ids()
    work: dict[str, Command[None]] = {
        each: ExpireReservation(cause=SystemCause(), reservation_id=each)
        for each in await due.due_reservations(SWEEP_LIMIT, left_alone)
    }
    work |= {
        each: EndHold(cause=SystemCause(), order_id=each) for each in await due.due_order_holds(SWEEP_LIMIT, left_alone)
    }
    work |= {  # an order that is both is expired in this round, and its hold ended in the next one
        each: ExpireOrder(cause=SystemCause(), order_id=each) for each in await due.due_orders(SWEEP_LIMIT, left_alone)
    }
    outcomes = await asyncio.gather(*(submit(each, NO_RESPONSE) for each in work.values()), return_exceptions=True)
    for work_id, outcome in zip(work, outcomes, strict=True):
        postponed.note(work_id, outcome)
    for outcome in outcomes:
        if isinstance(outcome, NOT_ITS_FAULT):
            raise outcome
    return len(work)
