"""Deletes what is past its retention: events and movements by partition, stored responses in small batches."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import date

import asyncpg

from stockward_server.domain.order import OPEN_STATES
from stockward_server.storage.database import EVENTS, MOVEMENTS, PARTITIONS, Executor, Partitioned, Pool, transaction
from stockward_server.storage.former_skus import renamed, sku_now

log = logging.getLogger(__name__)

BATCH = 5_000
"""Rows deleted in one transaction, or written by one statement."""

STEP_BLOCKS = 512
"""Blocks of a table, 8 KiB each, whose expired rows one transaction deletes."""

LOCK_TIMEOUT = "2s"
"""Limit for a lock. Dropping a partition locks the whole table, and must not make every writer wait behind a long
query."""

SUM_SECONDS = 600.0
"""Time limit for summing up a month of the ledger."""


async def drop_expired_events(pool: Pool, keep_days: int) -> list[str]:
    """Drops the partitions of `events` whose last day is more than `keep_days` days ago; returns their names.

    A partition with an unpublished event stays, however old. The last dropped seq is recorded, so that a reader with an
    older cursor gets CursorExpired.
    """

    async def settle(connection: Executor, partition: str, end: date) -> bool:
        if await connection.fetchval(
            f"""
            SELECT EXISTS (SELECT FROM outbox o JOIN {partition} e ON e.seq = o.seq AND e.create_time = o.create_time)
            """
        ):
            log.warning("%s has events that are not published yet and stays", partition)
            return False
        await connection.execute(
            f"""
            UPDATE event_retention SET dropped_seq = greatest(dropped_seq, (SELECT max(seq) FROM {partition})),
                oldest_time = $1::date AT TIME ZONE 'UTC'
            """,
            end,
        )
        return True

    return await _drop_expired(pool, EVENTS, keep_days, "events IN ACCESS EXCLUSIVE MODE", settle)


async def drop_expired_movements(pool: Pool, keep_days: int) -> list[str]:
    """Drops the months of the ledger that ended more than `keep_days` days ago; returns the names of their partitions.

    The same transaction adds their sums to the opening balances, so the totals of the ledger do not change. While the
    sums are computed the rest of the ledger can be read and written. The statement for it writes nothing, since events
    after a writing transaction are not listed before it ends.
    """

    async def settle(connection: Executor, partition: str, end: date) -> bool:
        await connection.execute(f"LOCK TABLE {partition} IN SHARE MODE")
        sums = await connection.fetch(
            f"""
            SELECT {sku_now("m")}, location_id,
                sum(on_hand_delta)::bigint, sum(reserved_delta)::bigint, sum(allocated_delta)::bigint
            FROM {partition} m {renamed("m", "movement_id")} GROUP BY 1, 2
            """,
            timeout=SUM_SECONDS,
        )
        for start in range(0, len(sums), BATCH):
            rows = sums[start : start + BATCH]
            await connection.execute(
                """
                INSERT INTO opening_balances AS o (sku, location_id, on_hand, reserved, allocated)
                SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
                ON CONFLICT (sku, location_id) DO UPDATE SET on_hand = o.on_hand + excluded.on_hand,
                    reserved = o.reserved + excluded.reserved, allocated = o.allocated + excluded.allocated
                """,
                *([row[column] for row in rows] for column in range(5)),
            )
        return True

    return await _drop_expired(pool, MOVEMENTS, keep_days, "opening_balances IN EXCLUSIVE MODE", settle)


async def _drop_expired(
    pool: Pool, of: Partitioned, keep_days: int, lock: str, settle: Callable[[Executor, str, date], Awaitable[bool]]
) -> list[str]:
    """Drops each partition in a transaction, oldest first, until `settle` refuses or a lock is not granted; `lock`
    excludes processes that do the same. `settle` gets the partition and the first day after it."""
    expired = await pool.fetch(
        f"""
        SELECT name, end_day FROM (
            SELECT name, (start + interval '1 {of.period}')::date AS end_day FROM ({PARTITIONS}) partitions
        ) partitions
        WHERE end_day <= (now() AT TIME ZONE 'UTC')::date - $3::int ORDER BY end_day
        """,
        of.table,
        of.suffix,
        keep_days,
    )
    dropped = []
    for name, end_day in expired:
        try:
            async with transaction(pool) as connection:
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(f"LOCK TABLE {lock}")
                if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):
                    continue  # dropped by another process
                if not await settle(connection, name, end_day):
                    break
                await connection.execute(f"DROP TABLE {name}")
        except asyncpg.LockNotAvailableError:
            log.info("%s is in use and stays for now", name)
            break
        dropped.append(name)
    return dropped


async def delete_expired_idempotency(pool: Pool, keep_days: int) -> int:
    """Deletes stored responses older than `keep_days` days, STEP_BLOCKS of the table a transaction; returns their
    number.

    It scans the table once, in physical order: each step is short, reads what no other step reads, and holds nothing
    that delays vacuum. An index by time would cost every change.
    """
    blocks = await pool.fetchval("SELECT pg_relation_size('idempotency') / current_setting('block_size')::int")
    count = 0
    for start in range(0, blocks, STEP_BLOCKS):
        gone = await pool.execute(
            """
            DELETE FROM idempotency
            WHERE ctid >= $2::text::tid AND ctid < $3::text::tid AND create_time < now() - make_interval(days => $1)
            """,
            keep_days,
            f"({start},0)",
            f"({start + STEP_BLOCKS},0)",
        )
        count += int(gone.rpartition(" ")[2])
    return count


async def delete_ended_sessions(pool: Pool) -> None:
    """Deletes the sessions whose time was over a month ago, revoked ones included: their time is a day at most."""
    await pool.execute("DELETE FROM api_keys WHERE session_of IS NOT NULL AND expire_time < now() - interval '30 days'")


async def delete_expired_messages(pool: Pool, keep_days: int) -> None:
    """Deletes records of messages that the stream no longer has, and of lost events that were settled."""
    await pool.execute(
        "DELETE FROM set_aside_messages WHERE create_time < now() - make_interval(days => $1)", keep_days
    )
    await pool.execute("DELETE FROM lost_events WHERE settle_time < now() - make_interval(days => $1)", keep_days)


async def delete_expired_contacts(pool: Pool, keep_days: int) -> int:
    """Deletes names, e-mail and postal addresses of orders closed for `keep_days` days, a batch a transaction; returns
    the number of orders. Lines and payments stay. Orders that are locked are left for the next run, and servers index
    again what the others are still found by."""
    count, deleted = 0, BATCH
    while deleted == BATCH:
        gone = await pool.execute(
            """
            WITH old AS MATERIALIZED (
                SELECT o.order_id FROM order_contacts c JOIN orders o USING (order_id)
                WHERE o.state <> ALL($1::smallint[]) AND o.update_time < now() - make_interval(days => $2) LIMIT $3
                FOR NO KEY UPDATE OF o SKIP LOCKED
            ), contacts AS (
                DELETE FROM order_contacts c USING old WHERE c.order_id = old.order_id
            ), words AS (
                DELETE FROM order_search s USING old WHERE s.order_id = old.order_id
            )
            UPDATE orders o SET indexed_version = 0 FROM old WHERE o.order_id = old.order_id
            """,
            OPEN_STATES,
            keep_days,
            BATCH,
        )
        deleted = int(gone.rpartition(" ")[2])
        count += deleted
    return count


async def delete_finished_deliveries(pool: Pool, keep_days: int) -> int:
    """Deletes deliveries of events older than `keep_days` days, and their attempts, a batch a transaction; returns
    their number. Pending deliveries stay.

    Keep deliveries as long as the stream keeps events: an existing delivery prevents its event from being sent again.
    Event ids are UUIDs of version 7, which begin with their time, so the key itself finds the old ones.
    """
    old = """state > 1 AND event_id < rpad(lpad(to_hex(floor(
        extract(epoch FROM now() - make_interval(days => $3)) * 1000)::bigint), 12, '0'), 32, '0')::uuid"""
    ids = await pool.fetch("SELECT endpoint_id FROM endpoints")
    return sum([await _delete_deliveries(pool, row["endpoint_id"], old, keep_days) for row in ids])


async def delete_orphaned_deliveries(pool: Pool) -> int:
    """Deletes the deliveries of deleted endpoints, a batch a transaction; returns their number.

    Their ids are found by skipping from one to the next in the key, without reading all of it.
    """
    ids = await pool.fetch(
        """
        WITH RECURSIVE ids AS (
            (SELECT endpoint_id FROM deliveries ORDER BY endpoint_id LIMIT 1)
            UNION ALL
            SELECT (SELECT endpoint_id FROM deliveries WHERE endpoint_id > ids.endpoint_id ORDER BY endpoint_id LIMIT 1)
            FROM ids WHERE endpoint_id IS NOT NULL
        )
        SELECT endpoint_id FROM ids
        WHERE endpoint_id IS NOT NULL AND endpoint_id NOT IN (SELECT endpoint_id FROM endpoints)
        """
    )
    count = 0
    for row in ids:
        deleted = BATCH
        while deleted == BATCH:
            gone = await pool.execute(
                "DELETE FROM lanes WHERE ctid = ANY(ARRAY(SELECT ctid FROM lanes WHERE endpoint_id = $1 LIMIT $2))",
                row["endpoint_id"],
                BATCH,
            )
            deleted = int(gone.rpartition(" ")[2])
        count += await _delete_deliveries(pool, row["endpoint_id"], "true")
    return count


async def _delete_deliveries(pool: Pool, endpoint_id: str, condition: str, *arguments: object) -> int:
    """Deletes deliveries of one endpoint that meet the condition, whose own arguments begin at $3; returns their
    number."""
    count, deleted = 0, BATCH
    while deleted == BATCH:
        deleted = await pool.fetchval(
            f"""
            WITH old AS (
                SELECT endpoint_id, event_id FROM deliveries WHERE endpoint_id = $1 AND {condition}
                ORDER BY event_id LIMIT $2
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
            BATCH,
            *arguments,
        )
        count += deleted
    return count


async def delete_expired_secrets(pool: Pool) -> None:
    """Deletes secrets that no longer sign."""
    await pool.execute("DELETE FROM endpoint_secrets WHERE expire_time <= now()")
