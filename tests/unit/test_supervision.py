"""Work that goes on for ever ends when it is asked to, whatever it makes of its cancellation."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from stockward_server.config import variable
from stockward_server.runtime import supervision
from stockward_server.runtime.supervision import end, run_with_restarts
from tests.terminal import clean_environment


class Stubborn:
    """Work that survives so many cancellations, as one does that each time is reported as the end of a connection."""

    def __init__(self, survives: int) -> None:
        self.begun = asyncio.Event()
        self.cancellations = 0
        self._survives = survives

    async def run(self) -> None:
        while True:
            self.begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancellations += 1
                if self.cancellations > self._survives:
                    raise


async def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    work = Stubborn(survives=2)
    task = asyncio.create_task(work.run())
    await work.begun.wait()
    await end(task)
    assert task.cancelled()
    assert work.cancellations == 3


async def test_a_task_that_never_ends_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "CANCEL_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(supervision, "MAX_CANCEL_SECONDS", 0.05)
    work = Stubborn(survives=1000)
    task = asyncio.create_task(work.run(), name="stubborn")
    await work.begun.wait()
    await end(task)
    assert not task.done()
    assert "stubborn does not end" in caplog.text
    work._survives = 0
    await end(task)


async def test_tasks_are_ended_although_who_asked_for_it_is_cancelled() -> None:
    work = Stubborn(survives=2)
    task = asyncio.create_task(work.run())
    await work.begun.wait()
    ending = asyncio.create_task(end(task))
    async with asyncio.timeout(60):
        while not work.cancellations:
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait((ending,))
        await asyncio.wait((task,))
    assert task.cancelled()


async def test_a_session_that_does_not_end_at_the_stop_is_cancelled() -> None:
    work, stop = Stubborn(survives=1), asyncio.Event()
    running = asyncio.create_task(run_with_restarts("tests", work.run, stop, stop_seconds=0.01))
    await work.begun.wait()
    stop.set()
    async with asyncio.timeout(60):
        await running
    assert work.cancellations == 2


async def test_a_session_whose_client_cancels_what_waits_for_it_is_begun_anew() -> None:
    begun, stop = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 2:
            stop.set()
            return
        future = asyncio.get_running_loop().create_future()
        future.cancel()  # as nats-py does to those who wait when it is closed
        await future

    async with asyncio.timeout(60):
        await run_with_restarts("tests", work, stop)
    assert begun == 2


ENDLESS = """
import asyncio
from stockward_server.commands.processes import run_process
from stockward_server.config import load_settings

async def process(settings, stop):
    print("up", flush=True)
    asyncio.current_task().set_name("endless")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

run_process(process, load_settings(), more_seconds=-4.8)
"""


def test_a_process_that_does_not_end_is_ended_by_force_and_says_what_it_waits_for() -> None:
    environment = clean_environment() | {variable("shutdown_grace_seconds"): "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "endless (" in log
    assert "not ended 0.2 s after it was asked to" in log
    assert "/asyncio/locks.py:" in log
