"""Log messages that repeat while something is down, at a bounded rate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

SECONDS = 5.0
"""Seconds between two messages of one kind."""


class RepeatedLog:
    """Writes the first message of each kind at once, and then one every SECONDS, with the number of those left out."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._left_out: dict[str, int] = {}
        self._next: dict[str, float] = {}

    def warning(self, message: str, *arguments: object) -> None:
        """Logs a warning; messages with the same `message`, before its arguments are filled in, are of one kind."""
        now = self._clock()
        if now < self._next.get(message, 0.0):
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return
        self._next[message] = now + SECONDS
        if left_out := self._left_out.pop(message, 0):
            self._log.warning(f"{message} (and %d like it)", *arguments, left_out)
        else:
            self._log.warning(message, *arguments)
