"""Stockward's own processes as children: `stockward serve`, `relay` and `gateway`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from stockward_dev.service import Service


class Worker(Service):
    """`stockward COMMAND` with ``variables`` in its environment; ``ready`` returns whether it can be used."""

    ready_within = 60.0

    def __init__(
        self,
        name: str,
        command: str,
        *,
        variables: Mapping[str, str],
        ready: Callable[[], Awaitable[bool]] | None = None,
        stop_within: float,
        log: Path,
        lock: Path,
    ) -> None:
        super().__init__(name, log=log, lock=lock)
        self._command = command
        self._variables = variables
        self._ready = ready
        self.stop_within = stop_within

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "stockward_server.cli", self._command]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self._variables}

    async def is_ready(self) -> bool:
        return await self._ready() if self._ready else True
