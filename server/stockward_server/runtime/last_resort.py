"""Ends a process whose shutdown hangs."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from typing import Any

log = logging.getLogger(__name__)


def end_by_force(seconds: float, loop: asyncio.AbstractEventLoop) -> None:
    """Ends this process with exit code 1 if it still runs after `seconds`, and logs the tasks it was waiting for.

    A thread does so, since the event loop itself may be blocked by something that cannot be cancelled, such as a lookup
    of a name.
    """

    def end() -> None:
        left = ", ".join(sorted(map(_place, asyncio.all_tasks(loop))))
        log.error("not ended %g s after it was asked to; ended by force, with these tasks left: %s", seconds, left)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _place(task: asyncio.Task[Any]) -> str:
    """Returns the task's name and the innermost line at which it waits."""
    waiting: Any = task.get_coro()
    while inspect.iscoroutine(inner := getattr(waiting, "cr_await", None)):
        waiting = inner
    frame = getattr(waiting, "cr_frame", None)
    return f"{task.get_name()} ({frame.f_code.co_filename}:{frame.f_lineno})" if frame else task.get_name()
