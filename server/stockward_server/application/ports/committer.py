"""Running commands."""

from __future__ import annotations

from typing import Protocol

from stockward_server.application.command import Command
from stockward_server.application.response_codec import M, R, ResponseCodec


class Submit(Protocol):
    """Runs a command and returns its response once the effect is durable; raises its Refusal.

    A request that was carried out before gets the response that was stored then.
    """

    async def __call__(self, command: Command[R], codec: ResponseCodec[R, M]) -> M: ...


class Rehearse(Protocol):
    """Returns the result that a command on stock would have now; changes, records and locks nothing."""

    async def __call__(self, command: Command[R]) -> R: ...
