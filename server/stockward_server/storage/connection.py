"""Connections to PostgreSQL whose COMMIT is acknowledged only once it is as durable as PostgreSQL was asked to make it.

With a synchronous standby, COMMIT waits for the standby. A COMMIT that is cancelled while it waits is not undone:
PostgreSQL ends the wait, keeps the change on the primary alone and reports success, with a warning. From then on the
change is visible there, and lost when the standby takes over. So a COMMIT is never cancelled here, and one that ends
with a warning is not believed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

COMMIT = "COMMIT;"
"""The statement of the driver that ends a transaction."""

WAIT_FOR_STANDBY = "SELECT pg_logical_emit_message(true, 'stockward', '')"
"""Writes a record without effect to the write-ahead log, so that the COMMIT after it waits for the synchronous standby
to have that record and all before it. A transaction that writes nothing waits for no standby."""


class CommitUnconfirmed(ConnectionError):
    """PostgreSQL committed on the primary and did not wait for its synchronous standby to the end."""


class DurableConnection(_Connection):
    """A connection that closes when its COMMIT is given up, by a timeout or because the caller left.

    Without a request to cancel, PostgreSQL goes on waiting for the standby, and holds the locks of the transaction: the
    change stays invisible until it is durable.
    """

    __slots__ = ("_committing", "_warning")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._committing = False
        self._warning = ""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Executes a statement. Raises CommitUnconfirmed for a COMMIT that ends with a warning."""
        if query != COMMIT:
            return await super().execute(query, *args, timeout=timeout)
        self._committing, self._warning = True, ""
        try:
            status = await super().execute(query, timeout=timeout)
        except (asyncio.CancelledError, TimeoutError):
            self.terminate()
            raise
        finally:
            self._committing = False
        if self._warning:
            self.terminate()
            raise CommitUnconfirmed(self._warning)
        return status

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
