"""A lone batch goes at once; what comes in quick succession gathers."""

from __future__ import annotations

import pytest

from stockward_server.runtime.linger import GATHER_SECONDS, QUIET_SECONDS, Linger


async def test_a_batch_gathers_only_soon_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = 100.0, list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("asyncio.sleep", sleep)
    pauses = Linger()
    for passed in (0.0, 1.0, 2 * QUIET_SECONDS, QUIET_SECONDS / 2, QUIET_SECONDS / 2, 1.0):
        now += passed
        await pauses.pause()
    assert slept == [GATHER_SECONDS, GATHER_SECONDS]
