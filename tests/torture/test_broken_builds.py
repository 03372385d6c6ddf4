"""Each check finds the build that breaks its promise, and nothing in one that keeps them all.

To save time several builds are broken at once where one does not trouble the check of another; `make torture
BROKEN=name` breaks one alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from stockward_server.storage.committer import Committer
from tests.torture.broken import BUILDS
from tests.torture.in_process import in_process
from tests.torture.run import Plan, Result, torture

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

GROUPS = (
    ("loses-payments", "publishes-lies", "skips-pages", "skips-changes", "leaks"),
    ("miscounts", "has-two-winners", "publishes-backwards", "answers-no"),
    ("halves-orders", "publishes-some", "stumbles"),
    ("forgets-requests", "takes-no-for-yes"),
    ("sells-too-many", "forgets-events"),
    ("acknowledges-early",),
    ("loses-movements",),
    ("locks-nothing",),
)


async def run(database_url: str, directory: Path) -> Result:
    async with in_process(database_url, directory) as subject:
        return await torture(subject, BUSY)


async def test_a_build_that_keeps_its_promises(database_url: str, tmp_path: Path) -> None:
    result = await run(database_url, tmp_path)
    assert not [finding for finding in result.findings if finding.violations and finding.check != "speed"]
    assert all(finding.examined for finding in result.findings)
    assert {finding.check for finding in result.findings} == {build.found_by for build in BUILDS.values()} | {"speed"}


@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
async def test_broken_builds_are_found(
    database_url: str, tmp_path: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        BUILDS[name].break_it(monkeypatch.setattr)
    result = await run(database_url, tmp_path)
    found = {finding.check for finding in result.findings if finding.violations}
    assert found >= {BUILDS[name].found_by for name in names}


async def test_a_build_that_does_not_recover_is_found(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the storm, what comes together takes its time."""
    run_batch = Committer._run_batch
    healed = asyncio.Event()

    async def run_slowly(self: Committer, batch: Any) -> Any:
        if healed.is_set() and len(batch) > 1:
            await asyncio.sleep(1.5)
        return await run_batch(self, batch)

    async def heal() -> None:
        healed.set()

    monkeypatch.setattr(Committer, "_run_batch", run_slowly)
    async with in_process(database_url, tmp_path) as subject:
        monkeypatch.setattr(subject, "heal", heal)
        result = await torture(subject, replace(BUSY, least_calls=0))
    assert {finding.check for finding in result.findings if finding.violations} == {"speed"}


def test_every_build_is_tried() -> None:
    assert sorted(chain(*GROUPS)) == sorted(BUILDS)
