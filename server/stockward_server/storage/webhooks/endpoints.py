"""Endpoints that staff manage, with their secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from asyncpg import Record

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.pages import Page
from stockward_server.application.ports.webhooks import EndpointDecision
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.endpoint import Endpoint, Secret
from stockward_server.domain.endpoint_changes import require_enabled, require_endpoint_etag, require_managed
from stockward_server.domain.errors import EndpointLimitReached, EndpointNotFound
from stockward_server.domain.event import PINGED
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.log_epoch import FIRST_VERSION
from stockward_server.storage.webhooks.lanes import wake_lanes
from stockward_server.storage.write.mutation import Mutations

log = logging.getLogger(__name__)

MAX_ENDPOINTS = 200
"""Maximum number of endpoints, as every event is compared with each of them."""

CREATION_LOCK = 0x656E6470
"""Advisory lock held while an endpoint is created, so that concurrent creations are counted; it spells "endp"."""

SELECT_ENDPOINTS = """
    SELECT e.*, ARRAY(SELECT (secret, create_time, expire_time, created_by) FROM endpoint_secrets s
                      WHERE s.endpoint_id = e.endpoint_id AND (expire_time IS NULL OR expire_time > now())
                      ORDER BY expire_time DESC NULLS FIRST, create_time DESC) AS secrets
    FROM endpoints e
"""


class SqlEndpoints:
    """The application's EndpointStore on PostgreSQL."""

    def __init__(self, pool: Pool, mutations: Mutations) -> None:
        self._pool = pool
        self._mutations = mutations

    async def create(
        self, request: MutationContext, make: Callable[[datetime], Endpoint], codec: ResponseCodec[Endpoint, M]
    ) -> M:
        async def work(connection: Executor, state: UnitOfWork) -> Endpoint:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", CREATION_LOCK)
            if await connection.fetchval("SELECT count(*) FROM endpoints") >= MAX_ENDPOINTS:
                raise EndpointLimitReached(MAX_ENDPOINTS)
            endpoint = _attributed(make(state.now), None, request.actor)
            await _write(connection, endpoint)
            return endpoint

        return await self._mutations.run(request, work, codec)

    async def change(
        self,
        request: MutationContext,
        endpoint_id: str,
        etag: str,
        decide: EndpointDecision,
        codec: ResponseCodec[Endpoint, M],
    ) -> M:
        async def work(connection: Executor, state: UnitOfWork) -> Endpoint:
            endpoint = await _lock(connection, endpoint_id)
            require_endpoint_etag(endpoint, etag)
            changed = decide(endpoint, state.now)
            if changed != endpoint:
                changed = replace(_attributed(changed, endpoint, request.actor), version=endpoint.version + 1)
                await _write(connection, changed)
                if changed.enabled:  # the change may fix the failure
                    await wake_lanes(connection, endpoint_id)
            return changed

        return await self._mutations.run(request, work, codec)

    async def delete(
        self, request: MutationContext, endpoint_id: str, etag: str, codec: ResponseCodec[Endpoint, M]
    ) -> M:
        """Deletes the endpoint and its secrets. Lanes without an endpoint are not claimed; retention deletes them
        later."""

        async def work(connection: Executor, state: UnitOfWork) -> Endpoint:
            endpoint = await _lock(connection, endpoint_id)
            require_endpoint_etag(endpoint, etag)
            require_managed(endpoint, "URL")
            await connection.execute("DELETE FROM endpoints WHERE endpoint_id = $1", endpoint_id)
            log.info("endpoint %s was deleted by %s", endpoint_id, request.actor)
            return endpoint

        return await self._mutations.run(request, work, codec)

    async def ping(self, request: MutationContext, endpoint_id: str, codec: ResponseCodec[str, M]) -> M:
        async def work(connection: Executor, state: UnitOfWork) -> str:
            endpoint = await _lock(connection, endpoint_id)
            require_enabled(endpoint)
            version = await connection.fetchval(
                f"UPDATE endpoints SET event_version = greatest(event_version + 1, {FIRST_VERSION}) "
                "WHERE endpoint_id = $1 RETURNING event_version",
                endpoint_id,
            )
            state.record(PINGED, "endpoint", endpoint_id, version, endpoint.news, request)
            return state.events[-1].event_id

        return await self._mutations.run(request, work, codec)

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        row = await self._pool.fetchrow(f"{SELECT_ENDPOINTS} WHERE endpoint_id = $1", endpoint_id)
        if row is None:
            raise EndpointNotFound(endpoint_id)
        return _endpoint_of(row)

    async def endpoints(self, page: Page) -> Sequence[Endpoint]:
        time, last = page.after or (None, "")
        rows = await self._pool.fetch(
            f"{SELECT_ENDPOINTS} WHERE $1::timestamptz IS NULL OR (create_time, endpoint_id) > ($1, $2) "
            "ORDER BY create_time, endpoint_id LIMIT $3",
            datetime.fromisoformat(time) if time else None,
            last,
            page.size,
        )
        return [_endpoint_of(row) for row in rows]


async def hold_endpoint(connection: Executor, endpoint_id: str) -> Sequence[str]:
    """Returns the types that the endpoint subscribes to; it cannot be deleted before the end of the transaction. Raises
    EndpointNotFound."""
    types: Sequence[str] | None = await connection.fetchval(
        "SELECT types FROM endpoints WHERE endpoint_id = $1 FOR KEY SHARE", endpoint_id
    )
    if types is None:
        raise EndpointNotFound(endpoint_id)
    return types


def _attributed(endpoint: Endpoint, before: Endpoint | None, actor: str) -> Endpoint:
    """Returns the endpoint with the actor as the author of this change and of its new secrets."""
    known = {secret.text for secret in before.secrets} if before else set()
    return replace(
        endpoint,
        created_by=endpoint.created_by if before else actor,
        updated_by=actor,
        secrets=tuple(
            secret if secret.text in known else replace(secret, created_by=actor) for secret in endpoint.secrets
        ),
    )


async def _lock(connection: Executor, endpoint_id: str) -> Endpoint:
    # Lock first, then read: one statement that had to wait would see the secrets as they were before.
    await connection.execute("SELECT FROM endpoints WHERE endpoint_id = $1 FOR NO KEY UPDATE", endpoint_id)
    row = await connection.fetchrow(f"{SELECT_ENDPOINTS} WHERE endpoint_id = $1", endpoint_id)
    if row is None:
        raise EndpointNotFound(endpoint_id)
    return _endpoint_of(row)


async def _write(connection: Executor, endpoint: Endpoint) -> None:
    """Inserts an endpoint, or updates what staff can change, and replaces its secrets."""
    await connection.execute(
        """
        INSERT INTO endpoints (endpoint_id, url, description, types, headers, rate_limit, max_in_flight, max_body_bytes,
                               enabled, disable_reason, failing_since, create_time, update_time, version, created_by,
                               updated_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT (endpoint_id) DO UPDATE SET
            url = EXCLUDED.url, description = EXCLUDED.description, types = EXCLUDED.types, headers = EXCLUDED.headers,
            rate_limit = EXCLUDED.rate_limit, max_in_flight = EXCLUDED.max_in_flight,
            max_body_bytes = EXCLUDED.max_body_bytes, enabled = EXCLUDED.enabled,
            disable_reason = EXCLUDED.disable_reason, failing_since = EXCLUDED.failing_since,
            warn_time = CASE WHEN EXCLUDED.failing_since IS NOT NULL THEN endpoints.warn_time END,
            update_time = EXCLUDED.update_time, version = EXCLUDED.version, updated_by = EXCLUDED.updated_by
        """,
        endpoint.endpoint_id,
        endpoint.url,
        endpoint.description,
        endpoint.types,
        endpoint.headers,
        endpoint.rate_limit,
        endpoint.max_in_flight,
        endpoint.max_body_bytes,
        endpoint.enabled,
        endpoint.disable_reason,
        endpoint.failing_since,
        endpoint.create_time,
        endpoint.update_time,
        endpoint.version,
        endpoint.created_by,
        endpoint.updated_by,
    )
    texts = [secret.text for secret in endpoint.secrets]
    await connection.execute(
        "DELETE FROM endpoint_secrets WHERE endpoint_id = $1 AND secret <> ALL($2::text[])", endpoint.endpoint_id, texts
    )
    await connection.execute(
        """
        INSERT INTO endpoint_secrets (endpoint_id, secret, create_time, expire_time, created_by)
        SELECT $1, * FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[])
        ON CONFLICT (endpoint_id, secret) DO UPDATE SET expire_time = EXCLUDED.expire_time
        """,
        endpoint.endpoint_id,
        texts,
        [secret.create_time for secret in endpoint.secrets],
        [secret.expire_time for secret in endpoint.secrets],
        [secret.created_by for secret in endpoint.secrets],
    )


def _endpoint_of(row: Record) -> Endpoint:
    return Endpoint(
        endpoint_id=row["endpoint_id"],
        url=row["url"],
        types=tuple(row["types"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        description=row["description"],
        headers=row["headers"],
        rate_limit=row["rate_limit"],
        max_in_flight=row["max_in_flight"],
        max_body_bytes=row["max_body_bytes"],
        enabled=row["enabled"],
        disable_reason=row["disable_reason"],
        failing_since=row["failing_since"],
        managed=row["managed"],
        secrets=tuple(Secret(*each) for each in row["secrets"]),
        version=row["version"],
        created_by=row["created_by"],
        updated_by=row["updated_by"],
    )
