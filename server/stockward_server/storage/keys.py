"""API keys: only their SHA-256 is stored, so a copy of the database grants no access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from stockward_server.application.context import MutationContext, Role
from stockward_server.application.keys import ApiKey, KeyAnswer, NewKey, NewSecret, Rotation, prefix_of
from stockward_server.application.ports.pages import Page
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import KeyNameTaken, KeyNotFound
from stockward_server.domain.etag import require_etag
from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.write.mutation import Mutations

SELECT_KEYS = """
    SELECT k.key_id::text AS key_id, name, role, prefix, create_time, expire_time, revoke_time, last_used_time,
           replaced_by::text AS replaced_by, created_by, rotated_by, revoked_by, session_of::text AS session_of
    FROM api_keys k LEFT JOIN api_key_uses u ON u.key_id = k.key_id
"""

STACK = "stockward run"
"""Actor that created the keys of a local stack."""

WORKS = "revoke_time IS NULL AND (expire_time > clock_timestamp()) IS NOT FALSE"
"""SQL condition for a key that is neither revoked nor expired."""


class SqlKeys:
    """Implements the application's Keys on PostgreSQL. Edits are serialized, so two active keys cannot have one
    name."""

    def __init__(self, pool: Pool, mutations: Mutations) -> None:
        self._pool = pool
        self._mutations = mutations

    async def create(
        self, request: MutationContext, wanted: NewKey, secret: NewSecret, codec: ResponseCodec[KeyAnswer, M]
    ) -> M:
        """Creates a key. Raises KeyNameTaken while another active key has that name."""

        async def work(connection: Executor, state: UnitOfWork) -> KeyAnswer:
            await _lock_keys(connection)
            key = replace(wanted.made(secret, state.now), created_by=request.actor)
            holder = await connection.fetchval(
                f"SELECT key_id FROM api_keys WHERE name = $1 AND session_of IS NULL AND {WORKS} LIMIT 1", key.name
            )
            if holder:
                raise KeyNameTaken(key.name, str(holder))
            await _insert(connection, key, secret)
            return KeyAnswer(key, state.now)

        return await self._mutations.run(request, work, codec)

    async def rotate(
        self, request: MutationContext, rotation: Rotation, secret: NewSecret, codec: ResponseCodec[KeyAnswer, M]
    ) -> M:
        """Creates the successor of a key. Raises KeyNotFound, EtagMismatch, or KeyNotActive."""

        async def work(connection: Executor, state: UnitOfWork) -> KeyAnswer:
            await _lock_keys(connection)
            wanted, old = rotation.decide(await find_key(connection, rotation.key_id), state.now)
            key = replace(wanted.made(secret, state.now), created_by=request.actor)
            await _insert(connection, key, secret)
            await connection.execute(
                "UPDATE api_keys SET expire_time = $2, replaced_by = $3, rotated_by = $4 WHERE key_id = $1",
                old.key_id,
                old.expire_time,
                key.key_id,
                request.actor,
            )
            return KeyAnswer(key, state.now, replace(old, replaced_by=key.key_id, rotated_by=request.actor))

        return await self._mutations.run(request, work, codec)

    async def revoke(self, request: MutationContext, key_id: str, etag: str, codec: ResponseCodec[KeyAnswer, M]) -> M:
        """Revokes a key; a key that is already revoked stays as it is. Raises KeyNotFound or EtagMismatch."""

        async def work(connection: Executor, state: UnitOfWork) -> KeyAnswer:
            await _lock_keys(connection)
            key = await find_key(connection, key_id)
            require_etag(f"key {key_id}", key.etag, etag, key_id=key_id)
            return KeyAnswer(await revoke_key(connection, key, request.actor, state.now), state.now)

        return await self._mutations.run(request, work, codec)

    async def list(self, page: Page, include_ended: bool, include_sessions: bool = False) -> Sequence[KeyAnswer]:
        """Returns a page of keys, and of sessions where they are wanted, newest first."""
        (before,) = page.after or (None,)
        now = await self._pool.fetchval("SELECT clock_timestamp()")
        rows = await self._pool.fetch(
            f"""
            {SELECT_KEYS}
            WHERE ($1::uuid IS NULL OR k.key_id < $1)
                AND ($2 OR {WORKS})
                AND ($3 OR session_of IS NULL)
            ORDER BY k.key_id DESC LIMIT $4
            """,
            before,
            include_ended,
            include_sessions,
            page.size,
        )
        return [KeyAnswer(_key(row), now) for row in rows]


async def ensure_key(connection: Executor, name: str, role: Role, key: str) -> None:
    """Stores the digest of a given key; does nothing when it exists."""
    await connection.execute(
        """
        INSERT INTO api_keys (key_id, name, role, prefix, hash, created_by) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (hash) DO NOTHING
        """,
        new_id(),
        name,
        int(role),
        prefix_of(key),
        sha256(key.encode()).digest(),
        STACK,
    )


async def revoke_key(connection: Executor, key: ApiKey, actor: str, now: datetime) -> ApiKey:
    """Returns the key after revoking it; one that is revoked stays as it is."""
    if key.revoke_time is not None:
        return key
    await connection.execute(
        "UPDATE api_keys SET revoke_time = $2, revoked_by = $3 WHERE key_id = $1", key.key_id, now, actor
    )
    return replace(key, revoke_time=now, revoked_by=actor)


async def _lock_keys(connection: Executor) -> None:
    """Locks keys against edits until the end of the transaction; reads continue."""
    await connection.execute("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE")


async def find_key(connection: Executor, key_id: str) -> ApiKey:
    """Returns the key or session. Raises KeyNotFound."""
    row = await connection.fetchrow(f"{SELECT_KEYS} WHERE k.key_id = $1", key_id)
    if row is None:
        raise KeyNotFound(key_id)
    return _key(row)


async def _insert(connection: Executor, key: ApiKey, secret: NewSecret) -> None:
    await connection.execute(
        """
        INSERT INTO api_keys (key_id, name, role, prefix, hash, create_time, expire_time, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        key.key_id,
        key.name,
        int(key.role),
        key.prefix,
        sha256(secret.of(key.role).encode()).digest(),
        key.create_time,
        key.expire_time,
        key.created_by,
    )


def _key(row: Any) -> ApiKey:
    return ApiKey(**{**row, "role": Role(row["role"])})
