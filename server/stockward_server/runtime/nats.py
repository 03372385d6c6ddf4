"""Connections to NATS, opened the same way in every process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import nats
import nats.errors
from nats.aio.client import Client

from stockward_server.runtime.supervision import Unavailable, close_shielded

CLOSE_SECONDS = 5.0
"""Seconds that closing a connection may take."""


OLDEST_NATS = (2, 10)
"""Oldest version, major and minor, with which everything works. Before 2.12 there are no atomic batches, so events are
published one by one."""


@asynccontextmanager
async def open_nats(
    url: str, name: str, on_lost: Callable[[str], None], *, no_echo: bool = False
) -> AsyncIterator[Client]:
    """Opens a connection that does not reconnect: unsent messages must not reach the stream later, when another process
    publishes. Calls `on_lost` with a reason when it breaks. With `no_echo` it does not receive its own messages.

    `url` names one server or several, separated by commas. Raises Unavailable, also when NATS is
    older than OLDEST_NATS.
    """
    closing = False

    async def closed() -> None:
        if not closing:
            on_lost("the connection to NATS is lost")

    with nats_errors("NATS cannot be reached"):
        client = await nats.connect(
            [server.strip() for server in url.split(",")],
            name=name,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=3,
            ping_interval=10,
            no_echo=no_echo,
            error_cb=_ignore,
            closed_cb=closed,
        )
    try:
        _check_version(client)
        yield client
    finally:
        closing = True
        # Cancelled, it would leave the socket and the subscriptions' tasks behind.
        await close_shielded(client.close(), CLOSE_SECONDS)


def version_of(client: Client) -> tuple[int, int]:
    """Returns the version of the connected server, major and minor."""
    version = client.connected_server_version
    return version.major, version.minor


def _check_version(client: Client) -> None:
    if version_of(client) < OLDEST_NATS:
        found, oldest = (".".join(map(str, version)) for version in (version_of(client), OLDEST_NATS))
        raise Unavailable(f"NATS {found} is too old: Stockward needs {oldest} or newer")


@contextmanager
def nats_errors(what: str) -> Iterator[None]:
    """Converts the client's errors to Unavailable, with a message in one line that begins with `what`."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise Unavailable(f"{what}: {str(error) or type(error).__name__}") from error


async def _ignore(_: Exception) -> None:
    """Ignores the error: the call that fails raises it, or `on_lost` is called."""
