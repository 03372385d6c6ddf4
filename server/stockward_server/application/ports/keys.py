"""Storing API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stockward_server.application.context import Credential, MutationContext
from stockward_server.application.keys import KeyAnswer, NewKey, NewSecret, NewSession, Rotation
from stockward_server.application.ports.pages import Page
from stockward_server.application.response_codec import M, ResponseCodec


class Keys(Protocol):
    """Stores keys, once per request_id. Responses are stored, too, so results never contain a secret."""

    async def create(
        self, request: MutationContext, wanted: NewKey, secret: NewSecret, codec: ResponseCodec[KeyAnswer, M]
    ) -> M: ...

    async def rotate(
        self, request: MutationContext, rotation: Rotation, secret: NewSecret, codec: ResponseCodec[KeyAnswer, M]
    ) -> M: ...

    async def revoke(
        self, request: MutationContext, key_id: str, etag: str, codec: ResponseCodec[KeyAnswer, M]
    ) -> M: ...

    async def list(self, page: Page, include_ended: bool, include_sessions: bool = False) -> Sequence[KeyAnswer]: ...


class Sessions(Protocol):
    """Stores sessions, once per request_id, without their secrets."""

    async def create(
        self,
        request: MutationContext,
        presented: Credential,
        wanted: NewSession,
        secret: NewSecret,
        codec: ResponseCodec[KeyAnswer, M],
    ) -> M: ...

    async def end(self, request: MutationContext, key_id: str, codec: ResponseCodec[KeyAnswer, M]) -> M: ...
