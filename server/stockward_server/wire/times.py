"""google.protobuf.Timestamp and Duration from and to datetimes (UTC) and timedeltas."""

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
    """A Timestamp of microsecond precision, to be put into another message: it is shared, never change it.

    All that a batch changes has the same time. None stays unset.
    """
    if moment is None:
        return None
    seconds, micros = divmod((moment - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def moment(message: Timestamp, field: str) -> datetime:
    """The moment; FieldInvalid naming `field` when it is out of range (years 1 to 9999)."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise FieldInvalid(field, "must be a moment in the years 1 to 9999") from error


def timespan(message: Duration) -> timedelta:
    """A validated Duration as a timedelta."""
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
