"""Calls by clients that time out, retry, and cancel."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.incoming import body_of, signed
from tests.shop import KEYS, Callers
from torture.history import Attempt, Call, History

Send = Callable[[Callers], Awaitable[Any]]

PATIENCE = 3.0
"""Timeout of one attempt, in seconds."""

TRIES = 5
"""Maximum number of attempts of one call."""

OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)

UNKNOWN_REASONS = {"DATABASE_UNAVAILABLE", "INTERNAL", ""}
"""Reasons after which the outcome of the call is unknown."""


@asynccontextmanager
async def connected(addresses: Sequence[str]) -> AsyncIterator[list[Callers]]:
    """Yields stubs for each server, on separate connections."""
    channels = [grpc.aio.insecure_channel(address, options=OPTIONS) for address in addresses]
    try:
        yield [Callers(channel) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()


def new_id(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


class Caller:
    """Makes the calls of one client and records each in the history."""

    def __init__(self, name: str, servers: Sequence[Callers], history: History, rng: Random) -> None:
        self.name = name
        self.rng = rng
        self.leaves = True
        """Whether it sometimes cancels a call."""
        self._servers = servers
        self._history = history
        self._made: deque[tuple[Call, Send]] = deque(maxlen=100)

    async def call(self, area: str, method: str, request: Any, *, by: str = "pms", twice: bool = False) -> Call:
        """Calls with a request_id until there is a response or all attempts are used; `twice` calls two servers at
        once."""
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            request.request_id = new_id(self.rng)
        metadata = (("authorization", f"Bearer {KEYS[by]}"),)

        def send(stubs: Callers) -> Awaitable[Any]:
            answer: Awaitable[Any] = getattr(getattr(stubs, area), method)(request, timeout=PATIENCE, metadata=metadata)
            return answer

        call = self._history.begin(self.name, method, request, getattr(request, "request_id", ""))
        return await self.see_through(call, send, twice=twice)

    async def webhook(self, type_: str, request: Any, *, twice: bool = False) -> Call:
        """Sends a signed webhook of the storefront; its id identifies repetitions."""
        webhook_id = f"msg_{new_id(self.rng)}"
        body = body_of(type_, request)

        def send(stubs: Callers) -> Awaitable[Any]:
            headers = tuple(signed(body, webhook_id).items())
            answer: Awaitable[Any] = stubs.incoming.ReceiveStorefrontWebhook(
                HttpBody(content_type="application/json", data=body), timeout=PATIENCE, metadata=headers
            )
            return answer

        request_id = str(uuid5(NAMESPACE_URL, f"webhook:{webhook_id}"))
        call = self._history.begin(self.name, f"webhook {type_}", request, request_id)
        return await self.see_through(call, send, twice=twice)

    async def sync(self, request: Any) -> Call:
        """Sends one request of a SyncStock stream and reads its response."""
        request.request_id = new_id(self.rng)
        metadata = (("authorization", f"Bearer {KEYS['pms']}"),)

        def send(stubs: Callers) -> Awaitable[Any]:
            return anext(aiter(stubs.inventory.SyncStock(iter([request]), timeout=PATIENCE, metadata=metadata)))

        call = self._history.begin(self.name, "SyncStock", request, request.request_id)
        return await self.see_through(call, send, twice=False)

    async def again(self) -> None:
        """Repeats one of its calls, possibly long after it was executed."""
        if self._made:
            await self._attempt(*self.rng.choice(self._made), self.rng.randrange(len(self._servers)))

    async def see_through(self, call: Call, send: Send, *, twice: bool) -> Call:
        if call.request_id:
            self._made.append((call, send))
        if twice:
            first = self.rng.randrange(len(self._servers))
            both = (first, (first + 1) % len(self._servers))
            await asyncio.gather(*(self._attempt(call, send, server) for server in both))
        for number in range(TRIES):
            if call.response is not None or (call.attempts and call.attempts[-1].definite):
                break
            if number:
                if self.leaves and self.rng.random() < 0.1:
                    break  # gives up without learning the outcome
                await asyncio.sleep(0.1 * 2**number * self.rng.random())
            await self._attempt(call, send, self.rng.randrange(len(self._servers)))
        return call

    async def _attempt(self, call: Call, send: Send, server: int) -> None:
        """Makes one attempt; cancels one in twenty-five at a random moment."""
        attempt = Attempt(server, self._history.now(), 0.0, "CANCELLED", definite=False)
        call.attempts.append(attempt)
        leaves_after = self.rng.uniform(0, 0.05) if self.leaves and self.rng.random() < 0.04 else None
        try:
            async with asyncio.timeout(leaves_after):
                response = await send(self._servers[server])
            attempt.code, attempt.definite = "OK", True
            call.responses.append(response)
        except TimeoutError:
            pass
        except grpc.aio.AioRpcError as error:
            attempt.code, attempt.reason = error.code().name, reason_of(error)
            attempt.definite = attempt.reason not in UNKNOWN_REASONS
        finally:
            attempt.end = self._history.now()


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Returns the reason of a refusal; empty when the error is not from a Stockward server."""
    with contextlib.suppress(ValueError):
        status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]
        for detail in status.details if status else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                return info.reason
    return ""
