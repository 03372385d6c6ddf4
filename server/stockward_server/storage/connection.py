"""Connections to PostgreSQL whose COMMIT is acknowledged only once it is as durable as PostgreSQL was asked to make it.

With a synchronous standby, COMMIT waits for the standby. A COMMIT that is cancelled while it waits is not undone:
PostgreSQL ends the wait, keeps the change on the primary alone and reports success, with a warning. From then on the
change is visible there, and lost when the standby takes over. So a COMMIT is never cancelled here, and one that ends
with a warning is not believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

CANCEL_SECONDS = 2.0
"""Time limit for cancelling a statement; PostgreSQL may not respond, and the connection is held meanwhile."""

COMMIT = "COMMIT;"
"""The statement of the driver that ends a transaction."""

WAIT_FOR_STANDBY = "SELECT pg_logical_emit_message(true, 'stockward', '')"
"""Writes a record without effect to the write-ahead log, so that the COMMIT after it waits for the synchronous standby
to have that record and all before it. A transaction that writes nothing waits for no standby."""


class CommitUnconfirmed(ConnectionError):
    """PostgreSQL committed on the primary and did not wait for its synchronous standby to the end."""


class DurableConnection(_Connection):
    """A connection that closes when its COMMIT is abandoned, after a timeout or when the caller left.

    Without a request to cancel, PostgreSQL goes on waiting for the standby, and holds the locks of the transaction: the
    change stays invisible until it is durable.
    """

    __slots__ = ("_committing", "_warning")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._committing = False
        self._warning = ""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Executes a statement; a COMMIT as `committing` says."""
        if query != COMMIT:
            return await super().execute(query, *args, timeout=timeout)
        with self.committing():
            return await super().execute(query, timeout=timeout)

    async def close(self, *, timeout: float | None = None) -> None:
        """Closes the connection. One whose server does not respond in time is aborted, which is no error: the pool
        closes expired connections in tasks that nothing awaits."""
        try:
            await super().close(timeout=timeout)
        except (TimeoutError, OSError):
            self.terminate()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Surrounds a statement that commits. Raises CommitUnconfirmed if it ends with a warning."""
        self._committing, self._warning = True, ""
        try:
            yield
        except (asyncio.CancelledError, TimeoutError):
            self.terminate()
            raise
        finally:
            self._committing = False
        if self._warning:
            self.terminate()
            raise CommitUnconfirmed(self._warning)

    async def _cancel(self, waiter: asyncio.Future[None], cancel_waiter: asyncio.Future[None] | None = None) -> None:
        """Is run by the driver to send a request to cancel, and to wait for its effect."""
        limit = asyncio.get_running_loop().call_later(CANCEL_SECONDS, self.terminate)
        try:
            await super()._cancel(waiter, cancel_waiter)  # type: ignore[misc]
        finally:
            limit.cancel()

    def _cancel_current_command(
        self, waiter: asyncio.Future[None], cancel_waiter: asyncio.Future[None] | None = None
    ) -> None:
        """Is called by the driver to send a request to cancel."""
        if self._committing:
            waiter.set_result(None)  # `execute` closes the connection
        else:
            super()._cancel_current_command(waiter, cancel_waiter)  # type: ignore[misc]  # not in the stubs

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        """Is called by the driver for each notice and warning of PostgreSQL."""
        if self._committing and fields.get("V", fields.get("S")) == "WARNING":
            self._warning = fields.get("M", "COMMIT ended with a warning")
        super()._process_log_message(fields, last_query)  # type: ignore[misc]


def committing(connection: Any) -> AbstractContextManager[None]:
    """Must surround a statement outside a transaction that writes what is acknowledged, since it commits by itself."""
    surrounded: AbstractContextManager[None] = connection.committing()  # of a DurableConnection, or of a pool's proxy
    return surrounded
