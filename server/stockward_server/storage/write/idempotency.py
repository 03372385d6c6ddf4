"""Stored responses by the key of their request, written in the transaction of their effect (AIP-155)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from stockward_server.application.consistency import CommitPoint
from stockward_server.application.context import MutationContext, RequestKey
from stockward_server.domain.errors import RequestIdReused
from stockward_server.storage.connection import WAIT_FOR_STANDBY
from stockward_server.storage.database import Executor
from stockward_server.storage.former_skus import RENAMES
from stockward_server.storage.log_epoch import FIRST_VERSION, ensure_epoch
from stockward_server.storage.statement import Statement

TRANSACTION = """
    greatest(pg_current_xact_id()::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)
"""
"""Selects the highest id of a transaction that has ended or is this one. What a transaction reads first has lower ids
than its own; what it reads later, after it waited for locks, need not."""


class Opening(NamedTuple):
    """What a transaction reads first."""

    now: datetime
    """The database's time."""
    renames: int
    """Number of committed SKU renames."""
    first_version: int
    """See UnitOfWork."""
    point: CommitPoint
    """What a replica has to show so that it shows this transaction, and all that it saw when it read this."""
    stored: dict[RequestKey, StoredResponse]
    """The responses stored for its requests."""


class StoredResponse:
    """A stored response with the digest of its request."""

    __slots__ = ("_response", "fingerprint", "method")

    def __init__(self, method: str, fingerprint: bytes, response: bytes) -> None:
        self.method = method
        self.fingerprint = fingerprint
        self._response = response

    def replay(self, request: MutationContext) -> bytes:
        """Returns the stored response. Raises RequestIdReused when another request has the same id."""
        if (self.method, self.fingerprint) != (request.method, request.fingerprint):
            raise RequestIdReused(request.request_id, self.method)
        return self._response


async def find_responses(connection: Executor, requests: Sequence[MutationContext]) -> Opening:
    """Returns the responses stored for these requests, and what else the transaction needs first.

    A response that is found makes COMMIT wait for the synchronous standby, which may lack the effect: once the primary
    was restarted, or an administrator cancelled the wait, PostgreSQL shows what is durable on the primary alone.

    It also gives the transaction its id, so that every writer has one before it draws a seq: readers of the event log
    rely on it. And it has PostgreSQL keep one plan a statement for the rest of the transaction: otherwise it plans
    short statements again for every length of their arrays, which takes ten times as long as running them.
    """
    keys = [request.key for request in requests]
    rows = await connection.fetch(
        f"""
        SELECT clock_timestamp() AS now, {RENAMES} AS renames, {FIRST_VERSION} AS first_version,
               on_known_timeline() AS is_known, {TRANSACTION} AS transaction,
               set_config('plan_cache_mode', 'force_generic_plan', true),
               CASE WHEN i.actor IS NOT NULL THEN ({WAIT_FOR_STANDBY}) END,
               i.actor, i.request_id::text AS request_id, i.method, i.fingerprint, i.response
        FROM (SELECT) AS one
        LEFT JOIN (unnest($1::text[], $2::uuid[]) AS r (actor, request_id)
                   JOIN idempotency i USING (actor, request_id)) ON true
        """,
        [actor for actor, _ in keys],
        [request_id for _, request_id in keys],
    )
    first_version = rows[0]["first_version"]
    if not rows[0]["is_known"]:  # the connection leads through a pooler, and is older than a failover
        await ensure_epoch(connection)
        first_version = await connection.fetchval(f"SELECT {FIRST_VERSION}")
    stored = {
        (row["actor"], row["request_id"]): StoredResponse(row["method"], row["fingerprint"], row["response"])
        for row in rows
        if row["actor"] is not None
    }
    point = CommitPoint(first_version, rows[0]["transaction"])
    return Opening(rows[0]["now"], rows[0]["renames"], first_version, point, stored)


def insert_responses(write: Statement, answers: Sequence[tuple[MutationContext, bytes]], now: datetime) -> None:
    """Stores responses. A unique violation means that another process stored a response to one of the requests
    meanwhile."""
    answers = sorted(answers, key=lambda answer: answer[0].key)
    write.add(
        """
        INSERT INTO idempotency (actor, request_id, method, fingerprint, response, create_time)
        SELECT *, $6 FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[])
        """,
        [request.key[0] for request, _ in answers],
        [request.request_id for request, _ in answers],
        [request.method for request, _ in answers],
        [request.fingerprint for request, _ in answers],
        [response for _, response in answers],
        now,
    )
