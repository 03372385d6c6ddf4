"""What time brings about: holds that run out, and orders that were not paid in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from stockward_server.application.command import Command, Submit
from stockward_server.application.order_commands import ExpireOrder
from stockward_server.application.request import Clockwork
from stockward_server.application.stock_commands import ExpireReservation

SWEEP_LIMIT = 500
"""Holds, and orders, of one round at the most: callers in the queue must not wait for a great sweep."""


class DueWork(Protocol):
    """What has come due, by the database's clock."""

    async def due_reservations(self, limit: int) -> Sequence[str]: ...

    async def due_orders(self, limit: int) -> Sequence[str]: ...


async def sweep(due: DueWork, submit: Submit) -> int:
    """One round; answers how many it looked at. Several processes may sweep: each expiry has one winner."""
    commands: list[Command] = [
        ExpireReservation(cause=Clockwork(), reservation_id=each) for each in await due.due_reservations(SWEEP_LIMIT)
    ]
    commands += [ExpireOrder(cause=Clockwork(), order_id=each) for each in await due.due_orders(SWEEP_LIMIT)]
    if commands:
        await asyncio.gather(*map(submit, commands))
    return len(commands)
