"""What is called after commits: caches to be dropped, hints to be sent."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stockward_server.application.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

CommitHook = Callable[[UnitOfWork], None]
"""Called after each commit, before its callers are answered."""


def guarded(hook: CommitHook) -> CommitHook:
    """The same hook, whose errors are logged: what is committed must be answered as such, whatever its listeners do."""

    def call(state: UnitOfWork) -> None:
        try:
            hook(state)
        except Exception:
            log.exception("a commit could not be passed on")

    return call
