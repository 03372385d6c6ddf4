"""API keys to messages."""

from __future__ import annotations

from datetime import datetime

from stockward.auth.v1 import key_pb2 as pb

from stockward_server.application.context import Role
from stockward_server.application.keys import ApiKey, KeyAnswer, NewSecret
from stockward_server.wire.times import timestamp


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
    )


def key_bytes(answer: KeyAnswer) -> bytes:
    """Of a key that was revoked."""
    return key_message(answer.key, answer.now).SerializeToString()


def created_bytes(answer: KeyAnswer) -> bytes:
    """Of a key that was made, without its secret: these bytes are stored."""
    return pb.CreateKeyResponse(key=key_message(answer.key, answer.now)).SerializeToString()


def rotated_bytes(answer: KeyAnswer) -> bytes:
    """Of a key that was rotated, without the new one's secret."""
    assert answer.replaced is not None
    return pb.RotateKeyResponse(
        key=key_message(answer.key, answer.now), replaced=key_message(answer.replaced, answer.now)
    ).SerializeToString()


def created(stored: bytes, secret: NewSecret) -> pb.CreateKeyResponse:
    """The answer to the call that drew `secret`, which it is told if it was this call that made the key."""
    answer = pb.CreateKeyResponse.FromString(stored)
    answer.secret = _shown(answer.key, secret)
    return answer


def rotated(stored: bytes, secret: NewSecret) -> pb.RotateKeyResponse:
    """The same for a rotation."""
    answer = pb.RotateKeyResponse.FromString(stored)
    answer.secret = _shown(answer.key, secret)
    return answer


def _shown(key: pb.Key, secret: NewSecret) -> str:
    return secret.of(Role(key.role)) if key.key_id == secret.key_id else ""
