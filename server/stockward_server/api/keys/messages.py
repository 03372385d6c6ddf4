"""API keys to messages."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from stockward.auth.v1 import key_pb2 as pb

from stockward_server.api.responses import response_codec
from stockward_server.application.context import Role
from stockward_server.application.keys import ApiKey, KeyAnswer, NewSecret
from stockward_server.wire.times import timestamp

Made = TypeVar("Made", pb.CreateKeyResponse, pb.RotateKeyResponse)


def key_message(key: ApiKey, now: datetime) -> pb.Key:
    """The key as it is at that moment."""
    return pb.Key(
        key_id=key.key_id,
        name=key.name,
        role=int(key.role),  # type: ignore[arg-type]
        prefix=key.prefix,
        state=int(key.state(now)),  # type: ignore[arg-type]
        create_time=timestamp(key.create_time),
        expire_time=timestamp(key.expire_time),
        revoke_time=timestamp(key.revoke_time),
        last_used_time=timestamp(key.last_used_time),
        replaced_by=key.replaced_by or "",
        created_by=key.created_by,
        rotated_by=key.rotated_by,
        revoked_by=key.revoked_by,
        etag=key.etag,
        session_of=key.session_of or "",
    )


def revoked_message(answer: KeyAnswer) -> pb.Key:
    return key_message(answer.key, answer.now)


REVOKED = response_codec(pb.Key, revoked_message)


def created_message(answer: KeyAnswer) -> pb.CreateKeyResponse:
    """Of a key that was made, without its secret: this is stored."""
    return pb.CreateKeyResponse(key=key_message(answer.key, answer.now))


CREATED = response_codec(pb.CreateKeyResponse, created_message)


def rotated_message(answer: KeyAnswer) -> pb.RotateKeyResponse:
    """Of a key that was rotated, without the new one's secret."""
    assert answer.replaced is not None
    return pb.RotateKeyResponse(
        key=key_message(answer.key, answer.now), replaced=key_message(answer.replaced, answer.now)
    )


ROTATED = response_codec(pb.RotateKeyResponse, rotated_message)


def with_secret(response: Made, secret: NewSecret) -> Made:
    """The response to the call that drew `secret`, which it shows if it was this call that made the key."""
    key = response.key
    response.secret = secret.of(Role(key.role)) if key.key_id == secret.key_id else ""
    return response
