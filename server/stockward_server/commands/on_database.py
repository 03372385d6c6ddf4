"""What commands do on the database itself (DATABASE_URL), so whether or not a server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from stockward_server.config import Settings

Subject = TypeVar("Subject")
Result = TypeVar("Result")


def on_database(
    opened: Callable[[Settings], AbstractAsyncContextManager[Subject]], work: Callable[[Subject], Awaitable[Result]]
) -> Result:
    """Runs `work` on what is opened. A refusal ends the command with exit code 1, an unreachable database with 3."""
    import asyncpg

    from stockward_server.commands.connection import REFUSED, UNREACHABLE, fail
    from stockward_server.config import Use, load_settings
    from stockward_server.domain.errors import DatabaseUnavailable, Refusal
    from stockward_server.storage.database import NOT_MIGRATED, is_database_down

    async def run() -> Result:
        async with opened(load_settings(Use.DATABASE)) as subject:
            return await work(subject)

    try:
        return asyncio.run(run())
    except Refusal as refusal:
        away = isinstance(refusal, DatabaseUnavailable)
        fail(f"{refusal.message} ({refusal.reason})", UNREACHABLE if away else REFUSED)
    except Exception as error:
        no_entry = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
        if isinstance(error, NOT_MIGRATED):
            fail("The database is not up to date: run `stockward migrate`", UNREACHABLE)
        if not (is_database_down(error) or isinstance(error, no_entry)):
            raise
        fail(f"The database cannot be reached: {error}", UNREACHABLE)
