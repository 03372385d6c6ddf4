"""Epochs of the record of events: whether this is still the database that it was, and what it has in common with it.

A database that was restored, or a standby that took over without having everything, lacks events that were delivered.
Its sequence would give their numbers to others, and anyone who holds a cursor behind them would never see those. So
each database has a *lineage*: the cluster, its timeline, the database and the table itself. Every connection compares
it when it is made, before anything is written. Where it is another one than that of the newest epoch, a new epoch
begins: it says up to which seq the record is common, and moves the sequence beyond all that was ever drawn.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from stockward_server.storage.database import Executor

log = logging.getLogger(__name__)

LINEAGE = """
    SELECT concat_ws(
        '/',
        (SELECT system_identifier FROM pg_control_system()), -- another one where a dump was loaded elsewhere
        left(pg_walfile_name(pg_current_wal_lsn()), 8), -- the timeline: of a standby that took over, of archived WAL
        (SELECT oid FROM pg_database WHERE datname = current_database()), -- of a copy in the same cluster
        'log_epochs'::regclass::oid -- of a dump that was loaded into the same database
    ) WHERE NOT pg_is_in_recovery()
"""
"""What distinguishes this database from any other one; null on a standby, which nothing is written to."""

KNOWN = "(SELECT lineage FROM log_epochs ORDER BY number DESC LIMIT 1)"

CANNOT_LOOK = (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)
"""Services that keep these functions to themselves: there `stockward events new-epoch` has to be run by hand."""

SETTLED = "1 minute"
"""Transactions are not open for longer. Of those that were when the backup was taken or the standby lost touch, some
events may be there and lower ones not."""

RECENT = 100_000
"""Events, at most, that are searched for gaps."""

BEGIN = f"""
    WITH newest AS (SELECT seq, create_time FROM events ORDER BY seq DESC LIMIT 1),
    recent AS (
        SELECT e.seq, lag(e.seq) OVER (ORDER BY e.seq) AS before FROM events e, newest n
        WHERE e.seq > n.seq - {RECENT} AND e.create_time > n.create_time - interval '{SETTLED}'
    ),
    kept AS (
        SELECT coalesce(
            (SELECT min(before) FROM recent WHERE seq > before + 1),
            (SELECT seq FROM newest),
            (SELECT dropped_seq FROM event_retention)
        ) AS seq
    )
    INSERT INTO log_epochs (number, lineage, kept_seq, first_seq)
    SELECT (SELECT max(number) + 1 FROM log_epochs), $1, kept.seq, setval('event_seq', greatest(
        coalesce(pg_sequence_last_value('event_seq'), 0) + 1, extract(epoch FROM clock_timestamp())::bigint << 20
    ))
    FROM kept
    RETURNING epoch, kept_seq
"""
"""Begins an epoch. It is common up to the first gap of late: a missing seq is of a transaction that failed, or of one
that committed elsewhere. The sequence goes on from the time: a million events a second would not come near, two
databases from one backup differ, and numbers stay below 2^53."""


class OnStandby(ConnectionError):
    """The database is a standby. Should it take over, it would not be noticed over a connection of before."""

    def __init__(self) -> None:
        super().__init__("the database is a standby: DATABASE_URL has to name the primary")


async def ensure_epoch(connection: Executor) -> None:
    """Begins a new epoch where this is another database than that of the newest one; raises OnStandby. Nothing happens
    before the database is migrated, and where its lineage may not be seen."""
    try:
        own, known = await _look(connection)
    except (asyncpg.UndefinedTableError, *CANNOT_LOOK):
        return
    if own is None:
        raise OnStandby
    if own == known:
        return
    async with connection.transaction():
        known = await _lock(connection)
        if known is None:  # nobody has looked yet
            await connection.execute("UPDATE log_epochs SET lineage = $1", own)
        elif known != own:
            await _begin(connection, own)


async def begin_epoch(connection: Executor) -> int:
    """Begins a new epoch in any case, and returns the seq up to which the record is taken for common."""
    try:
        own, _ = await _look(connection)
    except CANNOT_LOOK:
        own = None
    async with connection.transaction():
        known = await _lock(connection)
        return await _begin(connection, own or known)


async def _look(connection: Executor) -> tuple[str | None, str | None]:
    """Returns the lineage, None on a standby, and that of the newest epoch."""
    row: Any = await connection.fetchrow(f"SELECT ({LINEAGE}), {KNOWN}")
    own, known = row
    return own, known


async def _lock(connection: Executor) -> str | None:
    """Returns the lineage of the newest epoch, which nobody else changes before the end of the transaction."""
    await connection.execute("LOCK TABLE log_epochs IN SHARE ROW EXCLUSIVE MODE")
    known: str | None = await connection.fetchval(f"SELECT {KNOWN}")
    return known


async def _begin(connection: Executor, lineage: str | None) -> int:
    row: Any = await connection.fetchrow(BEGIN, lineage)
    log.warning(
        "the record of events has a new epoch, %s: it was restored or failed over, and is common up to seq %d; "
        "cursors behind that are refused (CURSOR_LOST)",
        row["epoch"],
        row["kept_seq"],
    )
    kept: int = row["kept_seq"]
    return kept
