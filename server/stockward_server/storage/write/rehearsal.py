"""Commands on stock that only say what they would do."""

from __future__ import annotations

from functools import partial

from stockward_server.application.command import Command
from stockward_server.application.response_codec import R
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.runtime.turns import beside
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.write.lock import load_locations, load_offers, load_stock
from stockward_server.storage.write.mutation import Mutations


class Rehearsals:
    """Runs commands on the stock rows as they are, without a lock, and drops what they changed."""

    def __init__(self, pool: Pool) -> None:
        self._mutations = Mutations(pool, lambda event: b"")

    async def __call__(self, command: Command[R]) -> R:
        """Returns the result that the command would have; raises its Refusal. It may depend on SKUs and locations
        only."""

        async def work(connection: Executor, state: UnitOfWork) -> R:
            state.load_levels(await load_stock(connection, command.skus))
            state.offers, _ = await load_offers(connection, command.skus)
            state.locations = await load_locations(connection)
            return await beside(partial(command.execute, state))

        return await self._mutations.rehearse(work)
