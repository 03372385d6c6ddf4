"""How far the work is behind, as the database knows it: for metrics and for `stockward doctor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stockward_server.domain.endpoint_changes import ANSWERED, NOTHING_TAKEN
from stockward_server.storage.database import Pool
from stockward_server.storage.due_work import sweeper_lag

MAX_COUNTED = 100_000
"""Rows are counted up to here: a number that is not small need not be exact, and must not cost what it reports."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts end at MAX_COUNTED; ages are in seconds, 0 when there is nothing."""

    outbox_pending: int
    outbox_age: float
    """Since the oldest event was recorded that is not published yet."""
    deliveries_pending: int
    """For enabled endpoints."""
    deliveries_age: float
    """Since the delivery was due that has been due for longest, at endpoints that do not fail: one that does is left
    alone by its breaker, or for as long as it asked, and what waits for it says nothing of the gateway."""
    dead: int
    """Dead letters."""
    disabled: Sequence[str]
    """Endpoints that are disabled."""
    given_up: Sequence[str]
    """Those of them that the gateway disabled, for their answer or for days of failing."""
    failing: Sequence[str]
    """Enabled endpoints that have taken nothing since their last failure."""
    sweeper_age: float
    """Since the oldest hold or order ran out that was not ended yet."""
    set_aside: int
    """Messages of the stream that are no events of ours."""
    positions: Mapping[str, int]
    """The last message of each stream that was made into deliveries."""


async def read_backlog(pool: Pool) -> Backlog:
    """Every part of it looks into an index, and no further than it has to."""
    row = await pool.fetchrow(
        """
        SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) counted),
               extract(epoch FROM clock_timestamp() - (SELECT create_time FROM outbox ORDER BY seq LIMIT 1))::float8,
               (SELECT count(*) FROM (SELECT FROM deliveries JOIN endpoints USING (endpoint_id)
                                      WHERE state = 1 AND enabled LIMIT $1) counted),
               (SELECT extract(epoch FROM clock_timestamp() - min(due_time))::float8
                FROM endpoints e, LATERAL (SELECT due_time FROM lanes WHERE lanes.endpoint_id = e.endpoint_id
                                           ORDER BY due_time LIMIT 1) due
                WHERE enabled AND failing_since IS NULL),
               (SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 3 LIMIT $1) counted),
               ARRAY(SELECT endpoint_id FROM endpoints WHERE NOT enabled ORDER BY 1),
               ARRAY(SELECT endpoint_id FROM endpoints WHERE NOT enabled AND disable_reason LIKE ANY($2) ORDER BY 1),
               ARRAY(SELECT endpoint_id FROM endpoints WHERE enabled AND failing_since IS NOT NULL ORDER BY 1),
               (SELECT count(*) FROM (SELECT FROM set_aside_messages LIMIT $1) counted),
               ARRAY(SELECT stream FROM webhook_feed ORDER BY 1),
               ARRAY(SELECT stream_seq FROM webhook_feed ORDER BY stream)
        """,
        MAX_COUNTED,
        [f"{beginning}%" for beginning in (ANSWERED, NOTHING_TAKEN)],
    )
    assert row is not None
    outbox, outbox_age, deliveries, due, dead, disabled, given_up, failing, set_aside, streams, positions = row.values()
    return Backlog(
        outbox_pending=outbox,
        outbox_age=max(0.0, outbox_age or 0.0),
        deliveries_pending=deliveries,
        deliveries_age=max(0.0, due or 0.0),
        dead=dead,
        disabled=disabled,
        given_up=given_up,
        failing=failing,
        sweeper_age=await sweeper_lag(pool),
        set_aside=set_aside,
        positions=dict(zip(streams, positions, strict=True)),
    )
