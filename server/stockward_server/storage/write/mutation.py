"""Mutations outside the committer: catalogue edits and settings, each a transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stockward_server.application.consistency import note_write
from stockward_server.application.context import MutationContext
from stockward_server.application.response_codec import M, R, Response, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import DatabaseUnavailable, Refusal
from stockward_server.domain.event import Event
from stockward_server.runtime.back_off import BackOff
from stockward_server.storage.database import Executor, Pool, is_database_down, is_race_lost, is_refusing, transaction
from stockward_server.storage.write.commit_hook import CommitHook, guarded
from stockward_server.storage.write.idempotency import Opening, StoredResponse, find_responses
from stockward_server.storage.write.write_state import write_state

MAX_TRIES = 5
FIRST_PAUSE = 0.05

T = TypeVar("T")

Work = Callable[[Executor, UnitOfWork], Awaitable[R]]
"""Does the work on the connection, records events in the state, and returns the result."""


class Mutations:
    """Runs work with the guarantees of the committer: once per request_id, with its events, or not at all."""

    def __init__(
        self,
        pool: Pool,
        encode_event: Callable[[Event], bytes],
        on_commit: CommitHook = lambda state: None,
    ) -> None:
        """`on_commit` is called for every commit."""
        self._pool = pool
        self._encode_event = encode_event
        self._on_commit = guarded(on_commit)

    async def run(self, request: MutationContext, work: Work[R], codec: ResponseCodec[R, M]) -> M:
        """Returns the response, stored or new. Work that lost a race or its connection is run again from the start: if
        it was committed after all, the stored response is returned."""
        return codec.message_of(await self._until_done(lambda: self._once(request, work, codec)))

    async def rehearse(self, work: Work[R]) -> R:
        """Returns the result that the work would have, then rolls back; the request_id is not used."""
        return await self._until_done(lambda: self._rolled_back(work))

    async def _until_done(self, attempt: Callable[[], Awaitable[T]]) -> T:
        back_off = BackOff(FIRST_PAUSE)
        for _ in range(MAX_TRIES):
            try:
                return await attempt()
            except Exception as error:
                if is_refusing(error) or not (is_race_lost(error) or is_database_down(error)):
                    raise
            await asyncio.sleep(back_off.next())
        raise DatabaseUnavailable.outcome_unknown()

    async def run_unasked(self, work: Work[R]) -> R:
        """Runs work without a request_id, started by the system, and returns its result."""
        async with transaction(self._pool) as connection:
            state = await self._opened(connection)
            result = await work(connection, state)
            await write_state(connection, state)
        self._on_commit(state)
        return result

    async def _opened(self, connection: Executor) -> UnitOfWork:
        opening = await find_responses(connection, [])
        return UnitOfWork(opening.now, self._encode_event, opening.first_version)

    async def _rolled_back(self, work: Work[R]) -> R:
        async with self._pool.acquire() as connection:
            attempt = connection.transaction()
            await attempt.start()
            try:
                return await work(connection, await self._opened(connection))
            finally:
                await attempt.rollback()

    async def _once(self, request: MutationContext, work: Work[R], codec: ResponseCodec[R, M]) -> Response[M] | bytes:
        try:
            return await self._transact(request, work, codec)
        except Refusal:
            # The same request may have been committed elsewhere while this one waited for its locks. What was written
            # before the refusal is already rolled back.
            async with transaction(self._pool) as connection:
                opening = await find_responses(connection, [request])
            for known in opening.stored.values():
                return _replayed(known, request, opening)
            raise

    async def _transact(
        self, request: MutationContext, work: Work[R], codec: ResponseCodec[R, M]
    ) -> Response[M] | bytes:
        async with transaction(self._pool) as connection:
            opening = await find_responses(connection, [request])
            for known in opening.stored.values():
                return _replayed(known, request, opening)
            state = UnitOfWork(opening.now, self._encode_event, opening.first_version)
            response = codec.respond(await work(connection, state))
            await write_state(connection, state, [(request, response.stored)])
        note_write(opening.point)
        self._on_commit(state)
        return response


def _replayed(known: StoredResponse, request: MutationContext, opening: Opening) -> bytes:
    """Returns the stored response. Raises RequestIdReused."""
    response = known.replay(request)
    note_write(opening.point)
    return response
