"""NATS whose disk is full."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from stockward_dev import Nats
from stockward_dev.files import write_private


class LimitedNats(Nats):
    """NATS with so much room for its streams, which a restart changes."""

    room: int | None = None
    """Bytes; None: as much as the disk has."""

    async def prepare(self) -> None:
        await super().prepare()
        if self.room is not None:
            configuration = json.loads(self._configuration.read_text())
            configuration["jetstream"]["max_file_store"] = self.room
            write_private(self._configuration, json.dumps(configuration))

    async def limit(self, room: int | None) -> None:
        """Restarts it with so much room."""
        self.room = room
        await self.restart()

    def used(self) -> int:
        """Bytes in its streams' files, some of which it may be removing."""
        total = 0
        for folder, _, names in os.walk(self.store_dir):
            for name in names:
                if name.endswith(".blk"):
                    with suppress(FileNotFoundError):
                        total += (Path(folder) / name).stat().st_size
        return total
