"""Errors about the event log; the reasons of event.v1."""

from __future__ import annotations

from datetime import datetime

from stockward_server.domain.errors.base import Code, Refusal


class CursorExpired(Refusal):
    """Events after the cursor are no longer kept."""

    code, reason = Code.OUT_OF_RANGE, "CURSOR_EXPIRED"

    def __init__(self, oldest_time: datetime) -> None:
        """`oldest_time` (UTC): time of the oldest event that is kept."""
        super().__init__(
            "events after the cursor are no longer kept: fetch the resources again and start from an empty cursor",
            oldest_time=oldest_time.isoformat().replace("+00:00", "Z"),
        )


class CursorLost(Refusal):
    """The event log lost events before the cursor."""

    code, reason = Code.OUT_OF_RANGE, "CURSOR_LOST"

    def __init__(self, cursor: str, time: datetime | None, *, common: bool) -> None:
        """`cursor`: where to continue; `time` (UTC): that of the event before it, if that is kept; `common`: whether
        the log is unchanged up to there, or only ends there."""
        where = "up to which the record is what it was" if common else "at which the record ends now"
        when = f" ({time:%Y-%m-%d %H:%M:%S} UTC)" if time else ""
        super().__init__(
            "events before this cursor are lost: the database was restored, or a standby that was behind took over. "
            f"Fetch the resources again, then go on from `cursor` in the metadata, {where}{when}",
            field="cursor",
            cursor=cursor,
            common=str(common).lower(),
            time=time.isoformat().replace("+00:00", "Z") if time else "",
        )
