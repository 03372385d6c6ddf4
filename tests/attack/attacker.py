"""`python -m tests.attack.attacker NAME GRPC_ADDRESS EDGE_ADDRESS SECONDS`: attacks, and prints the bytes that it sent.

It yields to everybody else on the machine, as an attacker has a machine of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import aiohttp
import grpc

from tests.attack.attacks import ATTACKS, Target

MOST = 400_000_000
"""Bytes that are sent at most."""


async def attack(name: str, grpc_address: str, edge_address: str, seconds: float) -> int:
    """The bytes that were sent."""
    chosen = ATTACKS[name]
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_send_message_length", -1)]
    end = time.monotonic() + seconds
    async with (
        grpc.aio.insecure_channel(grpc_address, options=options) as channel,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as http,
    ):
        target = Target(grpc_address, edge_address, channel, http)

        async def over_and_over() -> None:
            while time.monotonic() < end and target.sent < MOST:
                await chosen.do(target)

        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for _ in range(chosen.tasks):
                    group.create_task(over_and_over())
        except TimeoutError:
            pass  # what is under way is broken off, as by somebody who pulls the plug
        return target.sent


if __name__ == "__main__":
    os.nice(10)
    name, grpc_address, edge_address, seconds = sys.argv[1:]
    sent = asyncio.run(attack(name, grpc_address, edge_address, float(seconds)))
    print(sent, flush=True)
    os._exit(0)  # with whatever is still open
