"""Reads the record of events without ever missing one, and puts events back into the outbox.

`seq` is drawn before its transaction commits, so a lower seq can become visible after a higher one: anyone who went on
from the higher one would never see it. So only what lies below a *horizon* is read, a seq up to which every event has
been decided. It is found in three steps, and their order matters:

1. read the last seq that was drawn, h;
2. draw a transaction id, x, and have its commit flushed. Every writer had its id before it drew a seq (see
   `find_responses`), so anyone who drew one up to h has an id below x;
3. wait until no transaction below or at x is running any more. Now everything up to h is visible or will never be.

A snapshot's own upper bound cannot stand in for x: it is the highest id that has *finished*, plus one, so writers with
higher ids may be running already.

The flush is for crashes. A crash takes back what the log on the disk does not know: seqs of transactions that had not
committed are drawn again, and ids given out again, below an h that was proven with the former ones. Steps 1 and 2 are
one statement, which no crash survives; when it is done, h and x survive every crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from asyncpg import Record

from stockward_server.application.ports.events import Cursor, EventBatch, EventPage, EventsLost, LoggedEvent
from stockward_server.application.ports.pages import PAGE_BYTES
from stockward_server.domain.errors import CursorExpired
from stockward_server.domain.event import shard_of
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.events.storefront_events import seen_by_storefronts

HORIZON_SECONDS = 0.2
"""How long a reader waits for running transactions before it is served up to the horizon that is known already."""

LOOK_SECONDS = 0.01
"""Pause between two looks at the transactions that hold the horizon back."""

SCAN_LIMIT = 20_000
"""Seqs that one call with a filter by type looks at: rare types must not make it scan the whole record."""

REPUBLISH_BATCH = 5_000

BY_BYTES = f"""
    SELECT * FROM (
        SELECT *, count(*) OVER () AS found, sum(octet_length(payload)) OVER (ORDER BY seq) AS bytes
        FROM ({{}}) AS wanted
    ) AS counted WHERE bytes <= {PAGE_BYTES} OR bytes = octet_length(payload) ORDER BY seq
"""
"""The events of a query with their `seq` and `payload`, up to PAGE_BYTES but at least one. The length of a payload is
known without reading it."""

EPOCH = "(SELECT epoch FROM log_epochs ORDER BY number DESC LIMIT 1)"

LOST = """
    SELECT min(kept_seq), $1 = '' OR EXISTS (SELECT FROM log_epochs WHERE epoch = $1) FROM log_epochs later
    WHERE kept_seq < $2 AND CASE $1 WHEN '' THEN $2 <= first_seq
        ELSE number > (SELECT number FROM log_epochs WHERE epoch = $1) END
"""
"""Up to where the record still is what it was at the seq $2 of the epoch $1, null for all of that; and whether there
was such an epoch. Without an epoch the seq alone must do: it lies where the sequence was moved on, or it does not."""

DROPPED_SEQ = "SELECT dropped_seq FROM event_retention"

DRAWN_SEQ = "SELECT coalesce(pg_sequence_last_value('event_seq'), 0)"
"""Not `last_value`: a plain look at a sequence takes no lock, and may see the value that is just being
written to the log, 32 ahead of what is drawn."""

MARK = f"""
    SELECT drawn, pg_current_xact_id()::text::bigint, pg_logical_emit_message(true, 'stockward', '')
    FROM ({DRAWN_SEQ} AS drawn OFFSET 0) AS first
"""
"""h and x of a horizon. The message is for nobody: a transaction that has written nothing would not be flushed."""


class SqlEventLog:
    """The application's EventLog on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._epoch = ""
        self._horizon = 0
        self._mark: tuple[int, int] | None = None  # h and x, both on the disk, of a horizon that is not proven yet
        self._proving = asyncio.Lock()

    async def list_events(
        self,
        after: Cursor | None,
        limit: int,
        types: Sequence[str] = (),
        aggregate_id: str = "",
        for_storefront: bool = False,
    ) -> EventPage:
        """See EventLog. The position is the seq of an event that is committed, never one that a crash could undo."""
        epoch, horizon, drawn = await self._prove_horizon()
        if after is None:
            after_seq = await self._pool.fetchval(DROPPED_SEQ)
        else:
            await self._refuse_lost(after, epoch, drawn)
            after_seq = after.seq
        # Of one aggregate it is looked up once how far back a storefront sees, however many events it has.
        seen = seen_by_storefronts("e.type", "$4::text" if aggregate_id else "e.aggregate_id", "e.seq")
        until = horizon
        if (types or for_storefront) and not aggregate_id:
            next_seq = await self._pool.fetchval("SELECT min(seq) FROM events WHERE seq > $1", after_seq)
            if next_seq is not None:  # from there, as gaps may be wide
                until = min(horizon, next_seq - 1 + SCAN_LIMIT)
        rows = await self._pool.fetch(
            BY_BYTES.format(
                f"""
                SELECT seq, payload FROM events e
                WHERE seq > $1 AND seq <= $2
                  AND ($3::text[] = '{{}}' OR type = ANY($3) OR split_part(type, '.', 1) || '.*' = ANY($3))
                  AND ($4 = '' OR aggregate_id = $4)
                  {f"AND {seen}" if for_storefront else ""}
                ORDER BY seq LIMIT $5
                """
            ),
            after_seq,
            until,
            list(types),
            aggregate_id,
            limit,
        )
        more = _is_full(rows, limit)
        if more:
            next_seq = rows[-1]["seq"]
        else:
            next_seq = await self._pool.fetchval(
                "SELECT coalesce(max(seq), $1) FROM events WHERE seq > $1 AND seq <= $2", after_seq, until
            )
        await self._refuse_expired(after_seq)  # last, so that nothing was dropped unseen in the meantime
        return EventPage([row["payload"] for row in rows], Cursor(next_seq, epoch), not more and until == horizon)

    async def check(self, cursor: Cursor) -> Cursor:
        """See EventLog."""
        epoch, drawn = await self._state()
        await self._refuse_lost(cursor, epoch, drawn)
        await self._refuse_expired(cursor.seq)
        return Cursor(cursor.seq, epoch)

    async def follow(self, after_seq: int, limit: int) -> EventBatch:
        """See EventLog."""
        epoch, horizon, _ = await self._prove_horizon()
        rows = await self._pool.fetch(
            BY_BYTES.format(
                """
                SELECT seq, aggregate_type, aggregate_id, aggregate_version, payload FROM events
                WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3
                """
            ),
            after_seq,
            horizon,
            limit,
        )
        await self._refuse_expired(after_seq)
        more = _is_full(rows, limit)
        events = [
            LoggedEvent(
                row["seq"], row["aggregate_type"], row["aggregate_id"], row["aggregate_version"], row["payload"]
            )
            for row in rows
        ]
        return EventBatch(events, rows[-1]["seq"] if more else horizon, epoch, more)

    async def end(self) -> tuple[Cursor, int]:
        """See EventLog."""
        epoch, horizon, _ = await self._prove_horizon()
        end = await self._pool.fetchval(
            f"SELECT coalesce((SELECT max(seq) FROM events WHERE seq <= $1), ({DROPPED_SEQ}))", horizon
        )
        return Cursor(end, epoch), horizon

    async def last_drawn(self) -> int:
        """See EventLog."""
        drawn: int = await self._pool.fetchval(DRAWN_SEQ)
        return drawn

    async def _refuse_expired(self, after: int) -> None:
        row = await self._pool.fetchrow("SELECT oldest_time FROM event_retention WHERE dropped_seq > $1", after)
        if row is not None:
            raise CursorExpired(row["oldest_time"])

    async def _state(self) -> tuple[str, int]:
        """The present epoch, and the last seq that was drawn."""
        row = cast(Record, await self._pool.fetchrow(f"SELECT {EPOCH} AS epoch, ({DRAWN_SEQ}) AS drawn"))
        return row["epoch"], row["drawn"]

    async def _refuse_lost(self, cursor: Cursor, epoch: str, drawn: int) -> None:
        """EventsLost unless the record still has everything that the cursor stands behind."""
        if cursor.seq <= drawn and cursor.epoch == epoch:
            return
        kept, known = cast(Record, await self._pool.fetchrow(LOST, cursor.epoch, cursor.seq))
        if known and kept is not None:
            raise EventsLost(Cursor(kept, epoch), known=True)
        if not known or cursor.seq > drawn:
            end, _ = await self.end()
            raise EventsLost(end, known=False)

    async def _prove_horizon(self) -> tuple[str, int, int]:
        """The present epoch; the highest seq up to which nothing can appear any more, as far as can be known within
        HORIZON_SECONDS; the last seq that was drawn."""
        deadline = asyncio.get_running_loop().time() + HORIZON_SECONDS
        async with self._proving:  # callers at the same time share one proof
            epoch, drawn = await self._state()
            if epoch != self._epoch:  # what was proven was proven of another record
                self._epoch, self._horizon, self._mark = epoch, 0, None
            last = drawn
            while self._horizon < last:
                if self._mark is None:
                    marked, xid, _ = cast(Record, await self._pool.fetchrow(MARK))
                    self._mark = marked, xid
                    last = min(last, marked)  # a crash since may have taken some back
                seq, xid = self._mark
                if await self._pool.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1", xid):
                    self._horizon, self._mark = seq, None
                elif asyncio.get_running_loop().time() < deadline:
                    await asyncio.sleep(LOOK_SECONDS)
                else:
                    break
            return epoch, self._horizon, drawn


def _is_full(rows: Sequence[Record], limit: int) -> bool:
    """Whether a query that went through BY_BYTES may have had more events."""
    return bool(rows) and (rows[0]["found"] == limit or rows[0]["found"] > len(rows))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events; what is None or empty does not narrow it."""

    since: datetime | None = None
    """Recorded at this moment or later."""
    until: datetime | None = None
    """Recorded before this moment."""
    types: Sequence[str] = ()
    """Such as `order.created` or `order.*`."""
    aggregate_id: str = ""


async def republish(pool: Pool, selection: Selection, on_progress: Callable[[int], None] = lambda count: None) -> int:
    """Puts events back into the outbox, oldest first, and answers how many; `on_progress` receives the number so far.

    The relay publishes them again; the stream drops those that it still knows, so this refills a stream that was lost
    and does no harm to one that was not. It goes in small transactions and may be broken off and begun again.
    """
    count = after = 0
    while True:
        async with transaction(pool) as connection:
            rows = await connection.fetch(
                """
                SELECT seq, create_time, aggregate_id FROM events
                WHERE seq > $1
                  AND ($2::timestamptz IS NULL OR create_time >= $2) AND ($3::timestamptz IS NULL OR create_time < $3)
                  AND ($4::text[] = '{}' OR type = ANY($4) OR split_part(type, '.', 1) || '.*' = ANY($4))
                  AND ($5 = '' OR aggregate_id = $5)
                ORDER BY seq LIMIT $6
                """,
                after,
                selection.since,
                selection.until,
                list(selection.types),
                selection.aggregate_id,
                REPUBLISH_BATCH,
            )
            if not rows:
                return count
            await connection.execute(
                """
                INSERT INTO outbox (seq, shard, create_time)
                SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::timestamptz[]) ON CONFLICT (seq) DO NOTHING
                """,
                [row["seq"] for row in rows],
                [shard_of(row["aggregate_id"]) for row in rows],
                [row["create_time"] for row in rows],
            )
        after = rows[-1]["seq"]
        count += len(rows)
        on_progress(count)
