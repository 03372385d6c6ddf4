"""Epochs of the event log: they detect that the database was replaced, and record the history that both share.

A database that was restored from a backup, or a standby that was promoted without having everything, lacks events that
were delivered. Its sequence would give their numbers to other events, and a reader with a later cursor would miss
those. So each database has a *lineage*: the cluster, its timeline, the database and the table. Every new connection
compares it before anything is written. When it differs from the lineage of the newest epoch, a new epoch begins: it
records the last seq that both histories share, and moves the sequence beyond every seq ever drawn.
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
"""Selects what distinguishes this database from any other; null on a standby, which is never written to."""

KNOWN = "(SELECT lineage FROM log_epochs ORDER BY number DESC LIMIT 1)"

FIRST_VERSION = "(SELECT first_seq FROM log_epochs ORDER BY number DESC LIMIT 1)"
"""Selects the lowest version that an event of the current epoch may have; 0 in the first epoch. A lost event may have
had any version after the one that its aggregate has now, and subscribers ignore what is not newer than what they have.
The first seq is above all versions of earlier epochs, since no aggregate has as many events as the log."""

NOT_PERMITTED = (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)
"""Errors of services that do not permit these functions: there `stockward events new-epoch` must be run by hand."""

SETTLED = "1 minute"
"""No transaction is open for longer. Of transactions that were open when the backup was made or the standby fell
behind, some events may be present and lower ones missing."""

RECENT = 100_000
"""Maximum number of events that are searched for gaps."""

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
"""Begins an epoch. The shared history ends at the first recent gap: a missing seq belongs to a transaction that failed,
or that committed on the other database. The sequence continues from the time, in seconds times 2^20: no rate of events
overtakes it, two databases from one backup differ, and numbers stay below 2^53."""


class OnStandby(ConnectionError):
    """The database is a standby. An existing connection would not notice its promotion."""

    def __init__(self) -> None:
        super().__init__("the database is a standby: DATABASE_URL has to name the primary")


async def ensure_epoch(connection: Executor) -> None:
    """Begins a new epoch when this database differs from that of the newest epoch. Raises OnStandby. Does nothing
    before the database is migrated, or where its lineage cannot be read."""
    try:
        own, known = await _read_lineages(connection)
    except (asyncpg.UndefinedTableError, *NOT_PERMITTED):
        return
    if own is None:
        raise OnStandby
    if own == known:
        return
    async with connection.transaction():
        known = await _lock(connection)
        if known is None:  # not compared yet
            await connection.execute("UPDATE log_epochs SET lineage = $1", own)
        elif known != own:
            await _begin(connection, own)


async def begin_epoch(connection: Executor) -> int:
    """Begins a new epoch unconditionally; returns the seq up to which the history counts as shared."""
    try:
        own, _ = await _read_lineages(connection)
    except NOT_PERMITTED:
        own = None
    async with connection.transaction():
        known = await _lock(connection)
        return await _begin(connection, own or known)


async def _read_lineages(connection: Executor) -> tuple[str | None, str | None]:
    """Returns the lineage, None on a standby, and the lineage of the newest epoch."""
    row: Any = await connection.fetchrow(f"SELECT ({LINEAGE}), {KNOWN}")
    own, known = row
    return own, known


async def _lock(connection: Executor) -> str | None:
    """Locks the epochs until the end of the transaction; returns the lineage of the newest one."""
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
