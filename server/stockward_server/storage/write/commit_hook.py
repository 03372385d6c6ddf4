"""Hooks that are called after commits, to invalidate caches and send hints."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stockward_server.application.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

CommitHook = Callable[[UnitOfWork], None]
"""Called after each commit, before its callers get their responses."""


def guarded(hook: CommitHook) -> CommitHook:
    """Returns the hook with its errors logged: a committed change must be reported as committed."""

    def call(state: UnitOfWork) -> None:
        try:
            hook(state)
        except Exception:
            log.exception("a commit could not be passed on")

    return call
