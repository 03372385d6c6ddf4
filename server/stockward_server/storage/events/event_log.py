"""Reads the event log without missing an event, and puts events back into the outbox.

`seq` is drawn before its transaction commits, so a lower seq can become visible after a higher one, and a reader that
continued after the higher one would miss it. So only events below a *horizon* are read: a seq up to which every
transaction has committed or aborted. It is found in three steps, and their order matters:

1. read the last seq that was drawn, h;
2. draw a transaction id, x, and have its commit flushed. Every writer got its id before it drew a seq (see
   `find_responses`), so a writer that drew a seq up to h has an id below x;
3. wait until no transaction up to x is running. Now everything up to h is visible or never will be.

A snapshot's own upper bound cannot replace x: it is the highest id that has *finished*, plus one, so writers with
higher ids may already be running.

The flush is for crashes. After a crash, seqs and transaction ids that were not flushed are given out again, below an h
that was proven with the former ones. Steps 1 and 2 are one statement, which no crash survives; once it has finished, h
and x survive every crash.
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
"""How long a reader waits for running transactions before it is served up to the horizon that is already known."""

LOOK_SECONDS = 0.01
"""Pause between two checks of the transactions that hold the horizon back."""

SCAN_LIMIT = 20_000
"""Maximum number of seqs that one call with a filter by type scans: a rare type must not scan the whole log."""

REPUBLISH_BATCH = 5_000

BY_BYTES = f"""
    SELECT * FROM (
        SELECT *, count(*) OVER () AS found, sum(octet_length(payload)) OVER (ORDER BY seq) AS bytes
        FROM ({{}}) AS wanted
    ) AS counted WHERE bytes <= {PAGE_BYTES} OR bytes = octet_length(payload) ORDER BY seq
"""
"""Selects `seq` and `payload` of a query's events, up to PAGE_BYTES but at least one event. PostgreSQL knows the length
of a payload without reading it."""

EPOCH = "(SELECT epoch FROM log_epochs ORDER BY number DESC LIMIT 1)"

LOST = """
    SELECT min(kept_seq), $1 = '' OR EXISTS (SELECT FROM log_epochs WHERE epoch = $1) FROM log_epochs later
    WHERE kept_seq < $2 AND CASE $1 WHEN '' THEN $2 <= first_seq
        ELSE number > (SELECT number FROM log_epochs WHERE epoch = $1) END
"""
"""Selects the seq up to which the log is unchanged since seq $2 of epoch $1, null if all of it is; and whether that
epoch exists. Without an epoch only the seq decides: whether the sequence has skipped it."""

DROPPED_SEQ = "SELECT dropped_seq FROM event_retention"

DRAWN_SEQ = "SELECT coalesce(pg_sequence_last_value('event_seq'), 0)"
"""Not `last_value`: reading a sequence directly takes no lock, and may show the value that is being written to the
write-ahead log, 32 ahead of what is drawn."""

MARK = f"""
    SELECT drawn, pg_current_xact_id()::text::bigint, pg_logical_emit_message(true, 'stockward', '')
    FROM ({DRAWN_SEQ} AS drawn OFFSET 0) AS first
"""
"""Selects h and x of a horizon. The message has no reader: a transaction that has written nothing would not be
flushed."""


class SqlEventLog:
    """The application's EventLog on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._epoch = ""
        self._horizon = 0
        self._mark: tuple[int, int] | None = None  # h and x, both flushed, of a horizon not yet proven
        self._proving = asyncio.Lock()

    async def list_events(
        self,
        after: Cursor | None,
        limit: int,
        types: Sequence[str] = (),
        aggregate_id: str = "",
        for_storefront: bool = False,
    ) -> EventPage:
        """See EventLog. The position is the seq of a committed event, never one that a crash could undo."""
        epoch, horizon, drawn = await self._prove_horizon()
        if after is None:
            after_seq = await self._pool.fetchval(DROPPED_SEQ)
        else:
            await self._refuse_lost(after, epoch, drawn)
            after_seq = after.seq
        # For one aggregate, the first seq that a storefront sees is looked up once, however many events there are.
        seen = seen_by_storefronts("e.type", "$4::text" if aggregate_id else "e.aggregate_id", "e.seq")
        until = horizon
        if (types or for_storefront) and not aggregate_id:
            next_seq = await self._pool.fetchval("SELECT min(seq) FROM events WHERE seq > $1", after_seq)
            if next_seq is not None:  # continue there, as gaps may be wide
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
        await self._refuse_expired(after_seq)  # last, so that no partition was dropped meanwhile
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
        """Returns the current epoch and the last seq that was drawn."""
        row = cast(Record, await self._pool.fetchrow(f"SELECT {EPOCH} AS epoch, ({DRAWN_SEQ}) AS drawn"))
        return row["epoch"], row["drawn"]

    async def _refuse_lost(self, cursor: Cursor, epoch: str, drawn: int) -> None:
        """Raises EventsLost unless the log still has every event up to the cursor."""
        if cursor.seq <= drawn and cursor.epoch == epoch:
            return
        kept, known = cast(Record, await self._pool.fetchrow(LOST, cursor.epoch, cursor.seq))
        if known and kept is not None:
            raise EventsLost(Cursor(kept, epoch), await self._time_of(kept), known=True)
        if not known or cursor.seq > drawn:
            end, _ = await self.end()
            raise EventsLost(end, await self._time_of(end.seq), known=False)

    async def _time_of(self, seq: int) -> datetime | None:
        time: datetime | None = await self._pool.fetchval("SELECT create_time FROM events WHERE seq = $1", seq)
        return time

    async def _prove_horizon(self) -> tuple[str, int, int]:
        """Returns the current epoch; the highest seq below which no event can still appear, as far as known within
        HORIZON_SECONDS; and the last seq that was drawn."""
        deadline = asyncio.get_running_loop().time() + HORIZON_SECONDS
        async with self._proving:  # concurrent callers share one proof
            epoch, drawn = await self._state()
            if epoch != self._epoch:  # the proof was for another epoch
                self._epoch, self._horizon, self._mark = epoch, 0, None
            last = drawn
            while self._horizon < last:
                if self._mark is None:
                    marked, xid, _ = cast(Record, await self._pool.fetchrow(MARK))
                    self._mark = marked, xid
                    last = min(last, marked)  # a crash may have taken some back
                seq, xid = self._mark
                if await self._pool.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1", xid):
                    self._horizon, self._mark = seq, None
                elif asyncio.get_running_loop().time() < deadline:
                    await asyncio.sleep(LOOK_SECONDS)
                else:
                    break
            return epoch, self._horizon, drawn


def _is_full(rows: Sequence[Record], limit: int) -> bool:
    """Returns whether BY_BYTES may have cut off events of a query."""
    return bool(rows) and (rows[0]["found"] == limit or rows[0]["found"] > len(rows))


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects events; a field that is None or empty selects all."""

    since: datetime | None = None
    """Recorded at this moment or later."""
    until: datetime | None = None
    """Recorded before this moment."""
    types: Sequence[str] = ()
    """Such as `order.created` or `order.*`."""
    aggregate_id: str = ""


async def republish(pool: Pool, selection: Selection, on_progress: Callable[[int], None] = lambda count: None) -> int:
    """Puts events back into the outbox, oldest first, and returns their number; `on_progress` receives the number so
    far.

    The relay publishes them again. The stream drops those that it still has, so this restores a lost stream and is
    harmless otherwise. It runs in small transactions; an interrupted call can be repeated.
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
