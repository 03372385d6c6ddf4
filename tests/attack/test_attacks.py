"""A few of the attacks, each for a moment; `make attack` has all of them, and `make timed` holds them to their time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.attack.attacks import QUICK
from tests.attack.neighbour import Waits, neighbour
from tests.attack.stack import Stack, running_stack
from tests.attack.trial import ALLOWED_SECONDS, allowed_seconds, alone, load_all, try_attack
from tests.attack.unguarded import BUILDS

SECONDS = 1.0


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
async def waits(stack: Stack) -> AsyncIterator[Waits]:
    async with neighbour(stack.grpc_address, stack.edge.address) as waits:
        await load_all(stack, waits)
        yield waits


@pytest.mark.parametrize("slowest", [10.0, pytest.param(ALLOWED_SECONDS, marks=pytest.mark.timed)], ids="{:g} s".format)
@pytest.mark.parametrize("name", sorted(QUICK))
async def test_a_neighbour_is_served(stack: Stack, waits: Waits, name: str, slowest: float) -> None:
    """Within so many seconds; memory stays bounded, and nothing is left behind."""
    verdict = await try_attack(name, stack, waits, SECONDS, max(slowest, allowed_seconds(await alone(waits, SECONDS))))
    assert verdict.sent
    assert verdict.held, verdict


@pytest.mark.timed
@pytest.mark.parametrize("guard", BUILDS)
async def test_a_build_without_a_guard_is_seen(guard: str) -> None:
    async with running_stack(guard) as stack, neighbour(stack.grpc_address, stack.edge.address) as waits:
        allowed = allowed_seconds(await alone(waits, 2.0))
        verdict = await try_attack(BUILDS[guard].seen_by, stack, waits, 3.0, allowed)
    assert not verdict.held, verdict
