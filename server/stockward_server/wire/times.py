"""Converts google.protobuf.Timestamp and Duration from and to datetimes (UTC) and timedeltas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from stockward_server.domain.errors import FieldInvalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def timestamp(moment: datetime | None) -> Timestamp | None:
    """Returns a Timestamp of microsecond precision. It is cached and shared: copy it into another message, never change
    it.

    The cache serves batches, whose changes all have the same time. None stays unset.
    """
    if moment is None:
        return None
    seconds, micros = divmod((moment - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def moment(message: Timestamp, field: str) -> datetime:
    """Returns the datetime. Raises FieldInvalid naming `field` when it is out of range (years 1 to 9999)."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise FieldInvalid(field, "must be a moment in the years 1 to 9999") from error


def timespan(message: Duration) -> timedelta:
    """Returns a validated Duration as a timedelta."""
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
