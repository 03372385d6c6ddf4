"""Optimistic batches: decided on remembered rows, then compared, written and committed in one statement.

The statement is a transaction of its own. It locks the stock rows in the global order and compares them under the
locks (`lock_remembered` in 0027_compare_contents.sql), and only then writes. Where anything differs it raises, and
nothing is written. It also raises where the database has another epoch than the draft (`require_epoch`): the version of
a row that was remembered may have been lost, and given again.

The committer takes every batch that was not written, for whatever reason, the usual way: on fresh rows, and after a
look for its request_ids, which finds a batch that was written after all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from stockward_server.application.command import Command
from stockward_server.application.consistency import CommitPoint
from stockward_server.application.context import MutationContext
from stockward_server.application.overlay import Overlay
from stockward_server.application.unit_of_work import Holder, UnitOfWork
from stockward_server.domain.event import Event
from stockward_server.domain.hold_limits import Held, HoldLimits
from stockward_server.domain.identifiers import first_id
from stockward_server.domain.stock import StockLevel
from stockward_server.domain.unpaid_limits import Unpaid, UnpaidLimits
from stockward_server.storage.columns import columns
from stockward_server.storage.connection import committing
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.statement import Statement
from stockward_server.storage.write.committer_metrics import CommitterMetrics
from stockward_server.storage.write.lock import BUYERS, HOLDERS, OLDEST_UNPAID, REFERENCES
from stockward_server.storage.write.remembered import DatabaseClock, Goods, RememberedStock
from stockward_server.storage.write.write_state import add_changes

log = logging.getLogger(__name__)

TOLERANCE = timedelta(seconds=0.5)
"""Maximum difference between the time of a batch, as this process computed it, and the database's clock when the
statement begins. It includes the time that the decisions took."""

LOCK_REMEMBERED = """
    SELECT lock_remembered($1, $2, $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[]) AS now
    FROM {after} WHERE require_epoch($8)
"""

WRITTEN = "SELECT now, pg_current_xact_id()::text::bigint AS transaction FROM locked"

LOCK_HOLDERS = """
    SELECT require_room(NOT EXISTS (
        SELECT FROM lock_holders($1::text[], $2::text[], $5, $6) AS has
        JOIN unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
            AS room (customer_id, actor, holds, units) USING (customer_id, actor)
        WHERE has.holds > room.holds OR has.units > room.units
    ))
"""

LOCK_BUYERS = """
    SELECT require_room(NOT EXISTS (
        SELECT FROM lock_buyers($1::text[], $2::text[], $5, $6, $7) AS has
        JOIN unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
            AS room (customer_id, actor, orders, units) USING (customer_id, actor)
        WHERE has.orders > room.orders OR has.units > room.units
    )) FROM {after}
"""


LOCK_REFERENCES = """
    SELECT require_room(NOT EXISTS (
        SELECT FROM lock_references($2::text[], $3)
        JOIN unnest($1::text[], $2::text[]) AS wanted (channel, reference) USING (channel, reference)
    )) FROM {after}
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """Remembered goods, and the state in which commands are decided on them.

    What holders hold and buyers have not paid for is not remembered. Commands are decided as if it was nothing: then
    the state has what they add to it, and the write requires room for that below the limits. So it is with references
    that must be unique: the write requires that no order has one.
    """

    goods: Sequence[Goods]
    state: UnitOfWork
    holders: Mapping[Holder, HoldLimits]
    buyers: Mapping[Holder, UnpaidLimits]


class OptimisticWrites:
    """Drafts batches on what this process saw last, and commits them if that is still so."""

    def __init__(self, pool: Pool, metrics: CommitterMetrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._clock = DatabaseClock()
        self._stock = RememberedStock()
        self._first_version = 0

    def note(self, now: datetime, first_version: int) -> None:
        """Notes the database's time and the first version of its epoch, which have just been read."""
        self._clock.note(now)
        self._first_version = first_version

    def learn(self, state: UnitOfWork) -> None:
        """Remembers a state that has just been committed."""
        self._stock.learn(state)

    def distrust(self, commands: Iterable[Command[Any]]) -> None:
        """Takes the SKUs of commands that were refused the usual way for a while: fresh rows may know better."""
        self._stock.distrust(sku for command in commands for sku in command.skus)

    def draft(self, commands: Sequence[Command[Any]], encode_event: Callable[[Event], bytes]) -> Draft | None:
        """Returns a draft for these commands; None when they need more than is remembered."""
        if not all(command.optimistic and command.cause.key for command in commands):
            return None
        now = self._clock.now()
        goods = self._stock.recall({sku for command in commands for sku in command.skus})
        if now is None or goods is None:
            return None
        state = UnitOfWork(now, encode_event, self._first_version, {each.offer.sku: each.offer for each in goods})
        state.load_levels(level for each in goods for level in each.levels)
        holders = {holder: limits for command in commands for holder, limits in command.holders.items()}
        buyers = {buyer: limits for command in commands for buyer, limits in command.buyers.items()}
        state.held = Overlay(dict.fromkeys(holders, Held()))
        state.unpaid = Overlay(dict.fromkeys(buyers, Unpaid()))
        return Draft(goods, state, holders, buyers)

    async def commit(self, draft: Draft, answers: Sequence[tuple[MutationContext, bytes]]) -> CommitPoint | None:
        """Writes the draft with these responses; returns its point if it is certainly written, and durable."""
        if any(alert.known for of_row in draft.state.alerts.changes.values() for alert in of_row):
            return None  # an alert that stands and changes needs a statement before the others
        try:
            async with self._pool.acquire() as connection:
                with committing(connection):
                    now, transaction = await write_draft(connection, draft, answers)
        except Exception as error:
            self._metrics.overtaken += 1
            log.debug("an optimistic batch was not written: %r", error)
            if isinstance(error, asyncpg.SerializationError) and error.detail:
                self._stock.distrust(json.loads(error.detail))
            else:
                self._clock.forget()  # which is read with the batch the usual way
            return None
        self._clock.note(now)
        self._metrics.optimistic += 1
        self._stock.learn(draft.state, proven=True)
        return CommitPoint(draft.state.first_version, transaction)


async def write_draft(
    connection: Executor, draft: Draft, answers: Sequence[tuple[MutationContext, bytes]]
) -> tuple[datetime, int]:
    """Writes and commits a draft; returns the database's time and the id of the transaction. Raises SerializationError,
    whose detail is a JSON list of the SKUs that have changed, if any."""
    write = Statement()
    _lock(write, draft)
    first = await add_changes(write, draft.state, answers).fetch_first(connection, WRITTEN)
    return first["now"], first["transaction"]


def _lock(write: Statement, draft: Draft) -> None:
    """Adds the locks in the global order, each part after the one before: holders, buyers, references, stock."""
    state, after = draft.state, "(SELECT) AS nothing"
    if draft.holders:
        room = [(*each, *limits.beside(state.held[each], each[0])) for each, limits in draft.holders.items()]
        write.add(LOCK_HOLDERS, *columns(room), HOLDERS, state.now, name="holders")
        after = "holders"
    if draft.buyers:
        room = [(*each, *limits.beside(state.unpaid[each], each[0])) for each, limits in draft.buyers.items()]
        oldest = first_id(state.now - OLDEST_UNPAID)
        write.add(LOCK_BUYERS.format(after=after), *columns(room), BUYERS, oldest, state.now, name="buyers")
        after = "buyers"
    if taken := state.references.changes:
        write.add(LOCK_REFERENCES.format(after=after), *columns(taken), REFERENCES, name="taken")
        after = "taken"
    levels = [(level.sku, level.location_id, content_of(level)) for each in draft.goods for level in each.levels]
    offers = [(each.offer.sku, each.offer.fingerprint) for each in draft.goods]
    stock = LOCK_REMEMBERED.format(after=after)
    compared = (*(columns(levels) or [()] * 3), *columns(offers), state.first_version)
    write.add(stock, state.now, TOLERANCE, *compared, name="locked")


def content_of(level: StockLevel) -> str:
    """Returns what a decision depends on of a stock row and its location, as `lock_remembered` has it."""
    reorder_point = "-" if level.reorder_point is None else level.reorder_point
    return (
        f"{level.version} {level.on_hand} {level.reserved} {level.allocated} {level.safety_stock} {reorder_point} "
        f"{level.backorder_limit} {level.alert_level:d} {level.priority} {'t' if level.active else 'f'}"
    )
