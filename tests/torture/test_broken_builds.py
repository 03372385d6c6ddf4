"""Each check finds the build that breaks its promise, and nothing in one that keeps them all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stockward_server.storage.write.committer import Committer
from torture.broken import BUILDS, refuses_late
from torture.checks.recovery import SPEED
from torture.in_process import in_process
from torture.run import Plan, Result, torture

BUSY = Plan(
    seed=7,
    seconds=1.4,
    clients=8,
    pause=0.02,
    calm=0.5,
    settle=2.0,
    hold_seconds=1,
    least_calls=220,
    rest=0.1,
    recover=0.0,
)

pytestmark = pytest.mark.timed


async def run(database_url: str, directory: Path) -> Result:
    async with in_process(database_url, directory) as subject:
        return await torture(subject, BUSY)


async def test_a_build_that_keeps_its_promises(database_url: str, tmp_path: Path) -> None:
    result = await run(database_url, tmp_path)
    assert not [finding for finding in result.findings if finding.violations and finding.check != "speed"]
    assert all(finding.examined for finding in result.findings)
    assert {finding.check for finding in result.findings} == {build.found_by for build in BUILDS.values()} | {"speed"}


async def test_a_build_that_refuses_late_keeps_its_promises(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_late(monkeypatch.setattr)
    result = await run(database_url, tmp_path)
    assert not [finding for finding in result.findings if finding.violations and finding.check != "speed"]


@pytest.mark.parametrize("name", BUILDS)
async def test_a_broken_build_is_found(
    database_url: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    BUILDS[name].break_it(monkeypatch.setattr)
    result = await run(database_url, tmp_path)
    assert BUILDS[name].is_found(result.findings)


@pytest.mark.parametrize(
    ("plan", "least", "pause"),
    [
        pytest.param(BUSY, 2, 1.5, id="fewer calls"),
        pytest.param(replace(BUSY, pause=0.5, calm=3.0), 1, 0.15, id="as many calls, which take longer"),
    ],
)
async def test_a_build_that_does_not_recover_is_found(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan, least: int, pause: float
) -> None:
    """After the storm, batches of so many commands take their time."""
    run_batch = Committer._run_batch
    healed = asyncio.Event()

    async def run_slowly(self: Committer, batch: Any) -> Any:
        if healed.is_set() and len(batch) >= least:
            await asyncio.sleep(pause)
        return await run_batch(self, batch)

    async def heal() -> None:
        healed.set()

    monkeypatch.setattr(Committer, "_run_batch", run_slowly)
    async with in_process(database_url, tmp_path) as subject:
        monkeypatch.setattr(subject, "heal", heal)
        result = await torture(subject, replace(plan, least_calls=0))
    assert {finding.check for finding in result.findings if finding.violations} == {"speed"}
    if least == 1:
        assert result.paces[1].rate > SPEED * result.paces[0].rate, "its rate alone would have told"
