"""Sessions and links: API keys that end by themselves, and with the key that they were created with."""

from __future__ import annotations

from hashlib import sha256

from stockward_server.application.context import Credential, CredentialKind, MutationContext
from stockward_server.application.keys import ApiKey, KeyAnswer, KeyState, NewSecret, NewSession
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import CredentialsInvalid, KeyNotFound, SessionNeedsKey
from stockward_server.storage.database import Executor
from stockward_server.storage.keys import find_key, revoke_key
from stockward_server.storage.write.mutation import Mutations

WORKING = (KeyState.ACTIVE, KeyState.RETIRING)


class SqlSessions:
    """Implements the application's Sessions on PostgreSQL."""

    def __init__(self, mutations: Mutations) -> None:
        self._mutations = mutations

    async def create(
        self,
        request: MutationContext,
        presented: Credential,
        wanted: NewSession,
        secret: NewSecret,
        codec: ResponseCodec[KeyAnswer, M],
    ) -> M:
        """Creates a session with the key, or uses up the link, that is presented. Raises SessionNeedsKey for other
        credentials, and CredentialsInvalid when the key or link is not valid any more."""
        if presented.kind not in (CredentialKind.KEY, CredentialKind.LINK):
            raise SessionNeedsKey(presented.kind)

        async def work(connection: Executor, state: UnitOfWork) -> KeyAnswer:
            origin = await find_key(connection, presented.key_id)
            if presented.kind is CredentialKind.LINK:
                origin = await _use_link(connection, origin, state)
            if origin.state(state.now) not in WORKING:
                raise CredentialsInvalid.unknown_key()
            session = wanted.made(secret, origin, state.now)
            await connection.execute(
                """
                INSERT INTO api_keys
                    (key_id, name, role, prefix, hash, create_time, expire_time, created_by, session_of, link)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                """,
                session.key_id,
                session.name,
                session.role,
                session.prefix,
                sha256(secret.of(session.role).encode()).digest(),
                session.create_time,
                session.expire_time,
                session.created_by,
                session.session_of,
                wanted.link,
            )
            return KeyAnswer(session, state.now)

        return await self._mutations.run(request, work, codec)

    async def end(self, request: MutationContext, key_id: str, codec: ResponseCodec[KeyAnswer, M]) -> M:
        """Revokes a session of the caller's name. Raises KeyNotFound."""

        async def work(connection: Executor, state: UnitOfWork) -> KeyAnswer:
            session = await find_key(connection, key_id)
            if session.session_of is None or session.name != request.actor:
                raise KeyNotFound(key_id)
            return KeyAnswer(await revoke_key(connection, session, request.actor, state.now), state.now)

        return await self._mutations.run(request, work, codec)


async def _use_link(connection: Executor, link: ApiKey, state: UnitOfWork) -> ApiKey:
    """Revokes the link and returns the key that it was created with. Raises CredentialsInvalid for one that was used or
    has expired; of two callers at the same time one waits for the other, and is refused."""
    used = await connection.fetchval(
        """
        UPDATE api_keys SET revoke_time = $2, revoked_by = name
        WHERE key_id = $1 AND revoke_time IS NULL AND expire_time > $2 RETURNING session_of::text
        """,
        link.key_id,
        state.now,
    )
    if used is None:
        raise CredentialsInvalid.unknown_key()
    return await find_key(connection, used)
