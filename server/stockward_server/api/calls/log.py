"""A line in the log for every call, or for those that were refused."""

from __future__ import annotations

import logging
import re
from typing import Any

from stockward_server.application.calls import LoggedCalls
from stockward_server.auth.identity import current_metadata

log = logging.getLogger("stockward.calls")

_HARMLESS = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
"""What callers made up and may be written down."""


def callers_request_id() -> str:
    """What the caller calls the call under way, by the header `x-request-id`; empty without one."""
    for name, value in current_metadata.get(()):
        if name == "x-request-id" and isinstance(value, str) and _HARMLESS.fullmatch(value):
            return value
    return ""


class CallLog:
    """Lines at the level INFO for the calls that were asked for, at DEBUG for all others."""

    def __init__(self, logged: LoggedCalls) -> None:
        everything = log.isEnabledFor(logging.DEBUG)
        self.accepted = everything or logged is LoggedCalls.ALL
        """Whether calls that end well are to be noted."""
        self.refused = everything or logged is not LoggedCalls.NONE
        """Whether the others are."""
        self._levels = {
            True: logging.INFO if logged is LoggedCalls.ALL else logging.DEBUG,
            False: logging.DEBUG if logged is LoggedCalls.NONE else logging.INFO,
        }

    def note(self, method: str, code: str, reason: str, seconds: float, request: Any) -> None:
        """`request` is the message, or what stands for several of them."""
        known: dict[str, object] = {"method": method, "code": code, "duration_ms": round(1000 * seconds, 3)}
        if reason:
            known["reason"] = reason
        own = getattr(request, "request_id", "")
        if not callers_request_id() and isinstance(own, str) and _HARMLESS.fullmatch(own):
            known["request_id"] = own
        log.log(
            self._levels[code == "OK"],
            "%s in %.1f ms",
            f"{code} {reason}" if reason else code,
            1000 * seconds,
            extra=known,
        )
