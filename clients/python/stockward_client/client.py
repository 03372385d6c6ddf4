"""The clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc

from stockward_client.aio_calls import AsyncCalls
from stockward_client.aio_services import AsyncServices
from stockward_client.calls import Calls
from stockward_client.connection import DEFAULT_TIMEOUT, channel_options, is_plaintext
from stockward_client.services import Services


class Stockward(Services):
    """A server, called synchronously; may be shared by threads.

    Every call has a deadline. While the server is UNAVAILABLE it is tried again until then, with exponential pauses and
    the same request_id, so that a change is made once. Errors are those of `stockward_client.errors` and `reasons`.
    """

    def __init__(
        self,
        address: str,
        key: str | Callable[[], str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry_for: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        plaintext: bool | None = None,
        options: Iterable[tuple[str, Any]] = (),
    ) -> None:
        """Connects with the first call.

        Args:
            address: `HOST:PORT`.
            key: API key or token; a function is asked before every attempt, for tokens that have to be refreshed.
            timeout: Seconds for a call that does not say otherwise, its retries included.
            retry_for: Seconds within which a call is tried again while the server is unavailable; 0: never; None: until
                its `timeout`.
            credentials: TLS with roots or a certificate of one's own; the usual roots when None.
            plaintext: True: no TLS, also away from this machine, where the key can then be read on the way. When None,
                there is no TLS on loopback only.
            options: Further gRPC channel arguments.
        """
        arguments = channel_options(address, options)
        if is_plaintext(address, credentials, plaintext):
            self._channel = grpc.insecure_channel(address, arguments)
        else:
            self._channel = grpc.secure_channel(address, credentials or grpc.ssl_channel_credentials(), arguments)
        self._calls = Calls((lambda: key) if isinstance(key, str) else key, timeout, retry_for)
        super().__init__(self._channel, self._calls)

    @property
    def channel(self) -> grpc.Channel:
        """The connection, for services that are not Stockward's own, such as grpc.health.v1. It sends no key."""
        return self._channel

    @property
    def consistency_token(self) -> str:
        """The token of this client's last change; empty before the first one. It is sent with every call, so that lists
        that a read replica serves show that change. Setting one, such as that of another process which has made a
        change for the same user, keeps the later of the two."""
        return self._calls.consistency.token

    @consistency_token.setter
    def consistency_token(self, token: str) -> None:
        self._calls.consistency.observe(token)

    def close(self) -> None:
        """Ends the connection, and with it the calls under way."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStockward(AsyncServices):
    """A server, called from one asyncio event loop, in which it has to be made; otherwise like `Stockward`."""

    def __init__(
        self,
        address: str,
        key: str | Callable[[], str | Awaitable[str]],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry_for: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        plaintext: bool | None = None,
        options: Iterable[tuple[str, Any]] = (),
    ) -> None:
        """See `Stockward`; `key` may be a coroutine function."""
        arguments = channel_options(address, options)
        if is_plaintext(address, credentials, plaintext):
            self._channel = grpc.aio.insecure_channel(address, arguments)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials or grpc.ssl_channel_credentials(), arguments)
        self._calls = AsyncCalls((lambda: key) if isinstance(key, str) else key, timeout, retry_for)
        super().__init__(self._channel, self._calls)

    @property
    def channel(self) -> grpc.aio.Channel:
        """See `Stockward`."""
        return self._channel

    @property
    def consistency_token(self) -> str:
        """See `Stockward`."""
        return self._calls.consistency.token

    @consistency_token.setter
    def consistency_token(self, token: str) -> None:
        self._calls.consistency.observe(token)

    async def close(self) -> None:
        """Ends the connection, and with it the calls under way."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
