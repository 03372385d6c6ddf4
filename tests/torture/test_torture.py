"""A short run of `make torture`: the stack in processes of its own, under faults, keeps every promise."""

from __future__ import annotations

from tests.torture.faults import LANES
from tests.torture.report import first_violation, write
from tests.torture.run import Plan, torture
from tests.torture.stack import running_stack

SHORT = Plan(seed=20, seconds=14, clients=8, pause=0.12, calm=0.5, recover=0, hold_seconds=2)


async def test_every_promise_holds_under_faults() -> None:
    async with running_stack() as stack:
        result = await torture(stack, SHORT, lanes=tuple(LANES))
    broken = [finding for finding in result.findings if finding.violations and finding.check != "speed"]
    assert not broken, (first_violation(result), write(result))  # speed is for `make torture`, on a machine of its own
    assert len(result.faults) > 5
    assert all(finding.examined for finding in result.findings)
