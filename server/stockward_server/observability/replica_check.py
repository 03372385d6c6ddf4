"""Checks the standbys that serve lists, for `stockward doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from stockward_server.application.ports.status import Finding, Verdict
from stockward_server.storage.cluster import standbys_of
from stockward_server.storage.database import Pool
from stockward_server.storage.read import freshness
from stockward_server.storage.read.freshness import Marks
from stockward_server.storage.read.replicas import Replica, mark_of, opened_replica

CHECK = "read replica"

PAUSE = 0.05
"""Seconds between two looks at a standby that has not replayed everything yet."""

PASSED_OVER = "lists go to the primary meanwhile; docs/how-to/operator/read-replicas.md says what to do"


async def check_replicas(primary: Pool, url: str, max_age: float) -> AsyncIterator[Finding]:
    """Yields a finding for each standby of a URL: whether it replays within `max_age` seconds what the primary has
    now."""
    for standby in standbys_of(url):
        async with opened_replica(standby, 1) as replica:
            yield await _check(primary, replica, max_age)


async def _check(primary: Pool, replica: Replica, max_age: float) -> Finding:
    try:
        verdict = await _verdict(primary, replica, max_age)
    except Exception as error:
        return Finding(CHECK, Verdict.WARNING, f"{replica.name} does not answer: {type(error).__name__}", PASSED_OVER)
    if verdict is freshness.Verdict.ELSEWHERE:
        found = f"{replica.name} is no standby of the database of DATABASE_URL, or did not follow its failover"
        return Finding(CHECK, Verdict.PROBLEM, found, "name standbys of it in DATABASE_READ_URL")
    if verdict is freshness.Verdict.LATE:
        found = f"{replica.name} is more than {max_age:g} s behind"
        return Finding(CHECK, Verdict.WARNING, found, PASSED_OVER)
    return Finding(CHECK, Verdict.OK, f"{replica.name} has what was committed {replica.age:.1f} s ago")


async def _verdict(primary: Pool, replica: Replica, max_age: float) -> freshness.Verdict:
    """Returns whether the standby is fresh enough, as soon as it is, or after `max_age` seconds."""
    marks, loop = Marks(), asyncio.get_running_loop()
    marks.add(await mark_of(primary))
    end = loop.time() + max_age
    while True:
        verdict = await replica.judged(marks, max_age)
        if verdict is not freshness.Verdict.LATE or loop.time() >= end:
            return verdict
        await asyncio.sleep(PAUSE)
