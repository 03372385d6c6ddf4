"""Resources of processes: descriptors, memory, tasks, connections."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stockward_server.storage.database import Pool

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over the processes."""

    descriptors: int
    """Open descriptors without connections to PostgreSQL, whose number the pools decide."""
    memory: int
    """Resident memory in bytes."""
    tasks: int
    connections: int
    """All sessions at PostgreSQL."""


async def usage_of(pids: Sequence[int], tasks: int, pool: Pool) -> Usage:
    connections = await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    return Usage(
        sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids) - connections,
        sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in pids),
        tasks,
        connections,
    )
