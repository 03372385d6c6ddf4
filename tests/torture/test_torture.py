"""A short run of `make torture`: the stack in processes of its own, under faults, keeps every promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torture.broken import BUILDS
from torture.faults import LANES
from torture.report import again, first_violation, write
from torture.run import Plan, torture
from torture.stack import running_stack

SHORT = Plan(seed=20, seconds=44, clients=8, pause=0.12, calm=0.5, recover=0, hold_seconds=2)


@pytest.mark.timeout(400)
async def test_every_promise_holds_under_faults() -> None:
    async with running_stack() as stack:
        result = await torture(stack, SHORT, lanes=tuple(LANES))
    broken = [finding for finding in result.findings if finding.violations and finding.check != "speed"]
    assert not broken, (first_violation(result), write(result))  # speed is for `make torture`, on a machine of its own
    done = {fault.name for fault in result.faults}
    for lane, deeds in LANES.items():
        assert len(deeds.keys() - done) <= len(deeds) / 3, f"{lane}: too little of it was done: {done}"
    assert result.commits_lost
    assert all(finding.examined for finding in result.findings)


@pytest.mark.timed
@pytest.mark.parametrize(
    "name",
    [
        "sells-too-many",
        "forgets-events",
        "acknowledges-early",
        "publishes-some",
        "takes-no-for-yes",
        "fans-out-some",
        "leaks-files",
    ],
)
async def test_a_broken_build_is_found_under_faults(name: str) -> None:
    """As `make torture BROKEN=name` has it: in processes that are killed and started again."""
    plan = replace(SHORT, broken=name, seconds=16, calm=2, pause=0.05, settle=10)
    async with running_stack(plan.broken, plan.servers) as stack:
        result = await torture(stack, plan, lanes=tuple(LANES))
    assert BUILDS[name].is_found(result.findings)


@pytest.mark.parametrize("name", BUILDS)
def test_a_broken_build_patches_what_there_is(name: str) -> None:
    """Code that was renamed meanwhile would be patched without effect."""

    def check(subject: object, attribute: str, _: Any) -> None:
        assert hasattr(subject, attribute)

    BUILDS[name].break_it(check)


def test_a_run_names_the_command_that_does_it_again() -> None:
    plan = Plan(seed=3, seconds=60, clients=5, servers=4, broken="leaks-files")
    assert again(plan) == 'SEED=3 DURATION=60 BROKEN=leaks-files make torture ARGS="--servers 4 --clients 5"'
