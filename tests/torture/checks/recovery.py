"""After healing all is as it was before."""

from __future__ import annotations

from tests.torture.checks import Evidence, Finding, Violation

SLACK = 25
"""Descriptors and tasks that may come and go with calls, over all processes."""

GROWTH = 2.0
"""Times the memory that young processes have, whose caches and code are not all there yet."""

SPEED = 0.6
"""Part of the former rate that there must be; a machine with other work is not steady."""


async def nothing_leaked(evidence: Evidence) -> Finding:
    before, after = evidence.before, evidence.after
    assert before is not None
    assert after is not None
    found = [
        Violation(f"{getattr(before, what)} {what} before, {getattr(after, what)} after")
        for what in ("descriptors", "tasks")
        if getattr(after, what) > getattr(before, what) + SLACK
    ]
    if after.connections > evidence.most_connections:
        found.append(Violation(f"{after.connections} connections, the pools allow {evidence.most_connections}"))
    if after.memory > GROWTH * before.memory:
        found.append(Violation(f"{before.memory >> 20} MiB before, {after.memory >> 20} MiB after"))
    return Finding("resources", "no descriptor, task, connection or memory is lost", 4, found)


def as_fast(evidence: Evidence) -> bool:
    """Whether work goes on as it did before the first fault."""
    return evidence.rate_after >= SPEED * evidence.rate_before


async def as_fast_as_before(evidence: Evidence) -> Finding:
    found = []
    if not as_fast(evidence):
        message = f"{evidence.rate_before:.0f} calls/s before, {evidence.rate_after:.0f} calls/s after"
        found.append(Violation(message))
    return Finding("speed", "work goes on as fast as before", 2, found)
