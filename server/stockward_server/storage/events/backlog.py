"""The backlog of asynchronous work, read from the database for metrics and `stockward doctor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stockward_server.domain.endpoint_changes import ANSWERED, NOTHING_TAKEN
from stockward_server.storage.database import Pool
from stockward_server.storage.due_work import sweeper_lag

MAX_COUNTED = 100_000
"""Rows are counted up to this number: a large count need not be exact, and counting must stay cheap."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts are capped at MAX_COUNTED; ages are in seconds, 0 when nothing is pending."""

    outbox_pending: int
    outbox_age: float
    """Age of the oldest event that is not published yet."""
    deliveries_pending: int
    """Pending deliveries to enabled endpoints."""
    deliveries_age: float
    """Time since the oldest due delivery became due, without failing endpoints: the breaker or Retry-After delays
    those, so their deliveries do not show a slow gateway."""
    dead: int
    """Number of dead letters."""
    disabled: Sequence[str]
    """Ids of disabled endpoints."""
    given_up: Sequence[str]
    """Ids of endpoints that the gateway disabled because of their response or after days of failures."""
    failing: Sequence[str]
    """Ids of enabled endpoints that have accepted nothing since their last failure."""
    sweeper_age: float
    """Time since the oldest hold or order that has not been ended became due."""
    set_aside: int
    """Messages of the stream that are not valid events."""
    lost: int
    """Events that were published, that the event log lacks, and that are not settled."""
    unsettled_epochs: Sequence[int]
    """Numbers of epochs of the event log that began with a loss which no operator has settled yet."""
    positions: Mapping[str, int]
    """The sequence number of the last message of each stream that was fanned out to deliveries."""


async def read_backlog(pool: Pool) -> Backlog:
    """Reads the backlog; every part reads an index, up to MAX_COUNTED rows."""
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
               (SELECT count(*) FROM (SELECT FROM lost_events WHERE settle_time IS NULL LIMIT $1) counted),
               ARRAY(SELECT number FROM log_epochs WHERE settle_time IS NULL ORDER BY 1),
               ARRAY(SELECT stream FROM webhook_feed ORDER BY 1),
               ARRAY(SELECT stream_seq FROM webhook_feed ORDER BY stream)
        """,
        MAX_COUNTED,
        [f"{beginning}%" for beginning in (ANSWERED, NOTHING_TAKEN)],
    )
    assert row is not None
    outbox, outbox_age, deliveries, due, dead, disabled, given_up, failing, set_aside, *others = row.values()
    lost, unsettled, streams, positions = others
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
        lost=lost,
        unsettled_epochs=unsettled,
        positions=dict(zip(streams, positions, strict=True)),
    )
