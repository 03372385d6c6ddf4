"""One attack, and the judgement."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.attack.attacks import ATTACKS
from tests.attack.neighbour import Waits
from tests.attack.stack import Stack

ALLOWED_SECONDS = 0.1
"""That a call of the neighbour may take while somebody attacks."""


def allowed_seconds(worst_alone: float) -> float:
    """That, or twice what it takes alone, whichever is more."""
    return max(ALLOWED_SECONDS, 2 * worst_alone)


ROOM = 32 * 1024 * 1024
"""Bytes by which memory may grow whatever was sent: buffers of connections, and what an allocator keeps."""

LEFT_BEHIND_SECONDS = 20.0
"""After which nothing of an attack may be left."""

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attack did."""

    attack: str
    sent: int
    """Bytes."""
    worst: float
    """The neighbour's longest wait, in seconds."""
    kind: str
    """For what it was."""
    calls: int
    """That the neighbour made meanwhile."""
    grown: int
    """Bytes by which server and edge had grown at most."""
    allowed: float
    faults: tuple[str, ...]

    @property
    def held(self) -> bool:
        return not self.faults


async def load_all(stack: Stack, waits: Waits) -> None:
    """Has everything loaded, and caches filled, by what is asked for rightly and in large numbers."""
    await try_attack("gRPC: batches of 20 orders of 1,000 lines", stack, waits, 2.0, float("inf"))


async def alone(waits: Waits, seconds: float) -> float:
    """How long the neighbour waits at most while nobody attacks."""
    mark = waits.mark()
    await asyncio.sleep(seconds)
    return waits.worst(mark)


async def try_attack(name: str, stack: Stack, waits: Waits, seconds: float, allowed: float) -> Verdict:
    """Has a process attack for so many seconds; the neighbour may wait for `allowed` seconds."""
    assert name in ATTACKS
    descriptors, memory, errors = stack.descriptors, stack.memory, len(stack.errors())
    most = memory
    failures = len(waits.failures)
    attacker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attack.attacker", name, stack.grpc_address, stack.edge.address, str(seconds)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert attacker.stdout is not None
    mark = waits.mark()
    reading = asyncio.create_task(attacker.stdout.read())
    deadline = time.monotonic() + seconds + 60
    while not reading.done() and time.monotonic() < deadline:
        most = max(most, stack.memory)
        await asyncio.sleep(0.02)
    if attacker.returncode is None and not reading.done():
        attacker.kill()
    printed = (await reading).decode().strip()
    await attacker.wait()
    await waits.settled()
    worst, kind = waits.worst(mark), waits.worst_kind(mark)
    calls = waits.count(mark)
    sent, grown = int(printed or 0), max(most, stack.memory) - memory
    faults = []
    if not printed:
        faults.append("the attacker did not come to its end")
    if stack.server.pid is None:
        faults.append("the server has ended")
    if len(waits.failures) > failures:
        faults.append(f"{len(waits.failures) - failures} calls of the neighbour failed: {waits.failures[-1][:200]}")
    if worst > allowed:
        faults.append(f"{kind} took {1000 * worst:.0f} ms")
    if grown > max(2 * sent, ROOM):
        faults.append(f"memory grew by {grown / 2**20:.0f} MiB")
    faults += [f"logged: {line[:300]}" for line in stack.errors()[errors:][:1]]
    if left := await _left_behind(stack, descriptors):
        faults.append(f"{left} connections were left behind")
    return Verdict(name, sent, worst, kind, calls, grown, allowed, tuple(faults))


async def _left_behind(stack: Stack, before: int) -> int:
    """Descriptors that are still open some time after the attack."""
    deadline = time.monotonic() + LEFT_BEHIND_SECONDS
    while (left := stack.descriptors - before) > 8 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return left if left > 8 else 0
