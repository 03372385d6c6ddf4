"""KeyService on the wire: messages in, edits of keys, messages out."""

from __future__ import annotations

from datetime import datetime

from stockward.auth.v1 import key_pb2 as pb
from stockward.auth.v1 import key_pb2_grpc

from stockward_server.api.keys.messages import CREATED, REVOKED, ROTATED, key_message, with_secret
from stockward_server.api.requests import Context, request_of
from stockward_server.application.context import Role
from stockward_server.application.keys import DEFAULT_OVERLAP, NewKey, NewSecret, Rotation
from stockward_server.application.ports.keys import Keys
from stockward_server.application.ports.positions import Part
from stockward_server.wire.pages import list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.times import moment, timespan


class KeyServicer(key_pb2_grpc.KeyServiceServicer):
    """See key.proto; every method raises a Refusal for a documented error."""

    def __init__(self, keys: Keys, seals: Seals) -> None:
        self._keys = keys
        self._seals = seals

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        wanted, secret = NewKey(request.name, Role(request.role), _expire_time(request)), NewSecret()
        return with_secret(await self._keys.create(request_of(context, request), wanted, secret, CREATED), secret)

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        keys, token = await list_page(
            self._seals,
            request,
            lambda page: self._keys.list(page, request.include_ended, request.include_sessions),
            lambda row: key_message(row.key, row.now),
            lambda row: [row.key.key_id],
            [Part.ID],
        )
        return pb.ListKeysResponse(keys=keys, next_page_token=token)

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.RotateKeyResponse:
        overlap = timespan(request.overlap) if request.HasField("overlap") else DEFAULT_OVERLAP
        rotation, secret = Rotation(request.key_id.lower(), overlap, _expire_time(request), request.etag), NewSecret()
        return with_secret(await self._keys.rotate(request_of(context, request), rotation, secret, ROTATED), secret)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.Key:
        return await self._keys.revoke(request_of(context, request), request.key_id.lower(), request.etag, REVOKED)


def _expire_time(request: pb.CreateKeyRequest | pb.RotateKeyRequest) -> datetime | None:
    return moment(request.expire_time, "expire_time") if request.HasField("expire_time") else None
