"""Programs that are started while gRPC is in use."""

from __future__ import annotations

import asyncio
import os

from stockward.inventory.v1 import inventory_pb2

from tests.shop import Callers, Shop


async def test_a_program_that_is_forked_during_calls_starts(shop: Shop, storefront: Callers) -> None:
    await shop.sell("MUG", 1)

    async def look() -> None:
        while True:
            await storefront.inventory.GetAvailability(inventory_pb2.GetAvailabilityRequest(sku="MUG"))

    looking = [asyncio.create_task(look()) for _ in range(4)]
    try:
        for _ in range(60):
            # Python forks only for what cannot be had with vfork: a user, for example, or something to do before.
            program = await asyncio.create_subprocess_exec("true", preexec_fn=os.getpid)
            assert await asyncio.wait_for(program.wait(), 20) == 0
        assert not any(each.done() for each in looking)
    finally:
        for each in looking:
            each.cancel()
        await asyncio.wait(looking)
