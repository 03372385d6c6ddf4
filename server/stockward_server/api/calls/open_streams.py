"""Streams last no longer than the credential that opened them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stockward_server.application.context import Caller
from stockward_server.domain.errors import CredentialsInvalid, Refusal, RoleNotAllowed

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.5
"""Between two looks at the credentials of open streams. With the time for which a key is remembered
(`api_key_cache.REFRESH_SECONDS`) it makes less than the 5 seconds that are promised."""


@dataclass(eq=False, slots=True)
class _Stream:
    caller: Caller
    scope: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    refusal: Refusal | None = None


class OpenStreams:
    """Looks again and again whether those who opened streams may still have them. Runs while there are streams."""

    def __init__(self, identify: Callable[[str, str], Awaitable[Caller]]) -> None:
        """`identify` returns the caller of a credential (the value of `authorization`) who may call a method, or raises
        CredentialsInvalid or RoleNotAllowed."""
        self._identify = identify
        self._streams: dict[tuple[str, str], set[_Stream]] = {}
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def hold(self, credential: str, method: str, caller: Caller) -> AsyncIterator[None]:
        """Ends what is done inside with a Refusal, once the credential no longer stands for this caller."""
        stream = _Stream(caller)
        self._streams.setdefault((credential, method), set()).add(stream)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="open streams")
        try:
            async with stream.scope:
                yield
        except TimeoutError:
            raise stream.refusal or TimeoutError() from None
        finally:
            streams = self._streams[credential, method]
            streams.remove(stream)
            if not streams:
                del self._streams[credential, method]

    async def _run(self) -> None:
        try:
            while self._streams:
                await asyncio.sleep(CHECK_SECONDS)
                await asyncio.gather(*(self._check(*key) for key in self._streams))
        finally:
            self._task = None

    async def _check(self, credential: str, method: str) -> None:
        caller: Caller | None = None
        refusal: Refusal = CredentialsInvalid.changed()
        try:
            caller = await self._identify(credential, method)
        except (CredentialsInvalid, RoleNotAllowed) as error:
            refusal = error
        except Exception as error:  # whether it still holds cannot be said: neither can whether it does not
            log.warning("credentials of open streams cannot be checked: %r", error)
            return
        for stream in self._streams.get((credential, method), ()):
            if stream.caller != caller and stream.refusal is None:
                stream.refusal = refusal
                stream.scope.reschedule(asyncio.get_running_loop().time())
