"""Checks that the stack recovers fully after the last fault."""

from __future__ import annotations

from torture.checks import Evidence, Finding, Violation

SLACK = 25
"""Tolerated increase of descriptors and tasks, over all processes."""

GROWTH = 2.0
"""Tolerated factor of memory over new processes, which have not filled their caches."""

SPEED = 0.6
"""Required fraction of the former rate; a machine with other work is not steady."""

SLOWER, JITTER = 3.0, 0.01
"""Tolerated factor and additional seconds of latency, for the same reason."""


async def nothing_leaked(evidence: Evidence) -> Finding:
    before, healed, after = evidence.before, evidence.healed, evidence.after
    assert before is not None
    assert healed is not None
    assert after is not None
    found = [
        Violation(f"{getattr(earlier, what)} {what} {when}, {getattr(after, what)} after all work")
        for what in ("descriptors", "tasks")
        for when, earlier in (("before the faults", before), ("after them", healed))
        if getattr(after, what) > getattr(earlier, what) + SLACK
    ]
    if after.connections > evidence.most_connections:
        found.append(Violation(f"{after.connections} connections, the pools allow {evidence.most_connections}"))
    if after.memory > GROWTH * before.memory:
        found.append(Violation(f"{before.memory >> 20} MiB before, {after.memory >> 20} MiB after"))
    return Finding("resources", "no descriptor, task, connection or memory is lost", 4, found)


def as_fast(evidence: Evidence) -> bool:
    """Returns whether the speed is as before the first fault."""
    before, after = evidence.pace_before, evidence.pace_after
    return after.rate >= SPEED * before.rate and after.latency <= SLOWER * before.latency + JITTER


async def as_fast_as_before(evidence: Evidence) -> Finding:
    found = []
    if not as_fast(evidence):
        paces = (evidence.pace_before, evidence.pace_after)
        before, after = (f"{pace.rate:.0f} calls/s of {1000 * pace.latency:.0f} ms" for pace in paces)
        found.append(Violation(f"{before} before, {after} after"))
    return Finding("speed", "work goes on as fast as before", 2, found)
