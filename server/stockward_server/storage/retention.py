"""Lets go of what is older than it has to be kept: events by partition, stored answers in small batches."""

from __future__ import annotations

import logging
from datetime import datetime

import asyncpg

from stockward_server.storage.database import Executor, Pool, transaction

log = logging.getLogger(__name__)

BATCH = 5_000
"""Rows deleted in one transaction."""

LOCK_TIMEOUT = "2s"
"""Dropping a partition locks all of `events`: rather later than behind a long query, with every writer waiting."""


async def drop_expired_partitions(pool: Pool, keep_days: int) -> list[str]:
    """Drops the partitions of `events` whose last day is more than `keep_days` days past; answers their names.

    One that still has an event to be published stays, however old it is. Positions in dropped partitions are
    remembered: whoever wants to go on from one is told so (CursorExpired).
    """
    expired = await pool.fetch(
        """
        SELECT name, day + 1 AS end_day
        FROM (SELECT relname AS name, to_date(substring(relname FROM '^events_([0-9]{8})$'), 'YYYYMMDD') AS day
              FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'events'::regclass) partitions
        WHERE day + 1 <= (now() AT TIME ZONE 'UTC')::date - $1::int ORDER BY day
        """,
        keep_days,
    )
    dropped = []
    for partition in expired:
        try:
            async with transaction(pool) as connection:
                if not await _drop(connection, partition["name"], partition["end_day"]):
                    break
        except asyncpg.LockNotAvailableError:
            log.info("%s is in use and stays for now", partition["name"])
            break
        dropped.append(partition["name"])
    return dropped


async def _drop(connection: Executor, partition: str, end_day: datetime) -> bool:
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    await connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", partition):
        return True  # another process was faster
    if await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM outbox o JOIN {partition} e ON e.seq = o.seq AND e.create_time = o.create_time)"
    ):
        log.warning("%s has events that are not published yet and stays", partition)
        return False
    await connection.execute(
        f"""
        UPDATE event_retention SET dropped_seq = greatest(dropped_seq, (SELECT max(seq) FROM {partition})),
            oldest_time = $1::date AT TIME ZONE 'UTC'
        """,
        end_day,
    )
    await connection.execute(f"DROP TABLE {partition}")
    return True


async def delete_expired_idempotency(pool: Pool, keep_days: int) -> int:
    """Deletes stored answers older than `keep_days` days, a batch a transaction; answers how many.

    One read goes through the table once and names the rows; looking for each batch anew would read what the batches
    before it left behind again and again.
    """
    count = 0
    async with transaction(pool, readonly=True) as reader:
        expired = await reader.cursor(
            "SELECT ctid FROM idempotency WHERE create_time < now() - make_interval(days => $1)", keep_days
        )
        while rows := await expired.fetch(BATCH):
            await pool.execute("DELETE FROM idempotency WHERE ctid = ANY($1::tid[])", [row["ctid"] for row in rows])
            count += len(rows)
    return count


async def delete_finished_deliveries(pool: Pool, keep_days: int) -> int:
    """Deletes deliveries of events older than `keep_days` days, and their attempts, a batch a transaction; answers how
    many. What is pending stays.

    Keep them as long as the stream keeps events: a delivery that is there is what keeps its event from being sent
    again. Event ids are UUIDs of version 7, which begin with their time: so the key itself finds the old ones.
    """
    count = 0
    for endpoint_id in [row["endpoint_id"] for row in await pool.fetch("SELECT DISTINCT endpoint_id FROM endpoints")]:
        deleted = BATCH
        while deleted == BATCH:
            deleted = await pool.fetchval(
                """
                WITH old AS (
                    SELECT endpoint_id, event_id FROM deliveries
                    WHERE endpoint_id = $1 AND state > 1 AND event_id < rpad(lpad(to_hex(floor(
                        extract(epoch FROM now() - make_interval(days => $2)) * 1000)::bigint), 12, '0'), 32, '0')::uuid
                    ORDER BY event_id LIMIT $3
                ), attempts AS (
                    DELETE FROM delivery_attempts a USING old
                    WHERE a.endpoint_id = old.endpoint_id AND a.event_id = old.event_id
                ), gone AS (
                    DELETE FROM deliveries d USING old
                    WHERE d.endpoint_id = old.endpoint_id AND d.event_id = old.event_id RETURNING 1
                )
                SELECT count(*) FROM gone
                """,
                endpoint_id,
                keep_days,
                BATCH,
            )
            count += deleted
    return count
