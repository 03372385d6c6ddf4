"""What a commit in two phases costs: measured on real servers, then simulated for a shop on several nodes."""

from __future__ import annotations

import asyncio
import heapq
import random
import statistics
import time
from collections import deque
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg

from stockward_dev import Postgres

ROUNDS = 300
CALLERS = 256
SECONDS = 8.0
"""Simulated time."""

ORDER_SECONDS = 184e-6
"""PostgreSQL's time for an order among 1,000 SKUs: docs/how-to/operator/scaling.md."""

TRANSACTION_SECONDS = 2.2e-3
"""What a transaction takes beside its orders and its commit: six round trips, as measured for an order that comes alone
(begin 0.61, lock 0.54, write 1.01 ms)."""

BATCH = 500
"""Most orders of a transaction (STOCKWARD_COMMITTER_BATCH_LIMIT)."""


@dataclass(frozen=True, slots=True)
class CommitCost:
    """Median seconds of a commit on one node, and of one in two phases on two nodes, with the coordinator's record."""

    one: float
    two_phases: float


async def measure() -> CommitCost:
    """Measures both on durable servers, a row each."""
    async with AsyncExitStack() as up:
        settings = {"max_prepared_transactions": "8"}
        servers = [await up.enter_async_context(Postgres.temporary(settings)) for _ in range(3)]
        coordinator, *nodes = [await asyncpg.connect(server.url()) for server in servers]
        for connection in (coordinator, *nodes):
            up.push_async_callback(connection.close)
            await connection.execute("CREATE TABLE stock AS SELECT 0 AS reserved")
        one, two = [], []
        for number in range(ROUNDS):
            await _change(nodes[0])
            one.append(await _seconds(nodes[0].execute("COMMIT")))
            await asyncio.gather(*map(_change, nodes))
            two.append(await _seconds(_commit_everywhere(coordinator, nodes, f"order_{number}")))
        return CommitCost(statistics.median(one), statistics.median(two))


async def _change(node: asyncpg.Connection) -> None:
    await node.execute("BEGIN; UPDATE stock SET reserved = reserved + 1")


async def _commit_everywhere(coordinator: asyncpg.Connection, nodes: list[asyncpg.Connection], name: str) -> None:
    """Commits as Citus does: all nodes prepare, the coordinator records the decision, all nodes commit."""
    await asyncio.gather(*(node.execute(f"PREPARE TRANSACTION '{name}'") for node in nodes))
    await coordinator.execute("UPDATE stock SET reserved = reserved + 1")
    await asyncio.gather(*(node.execute(f"COMMIT PREPARED '{name}'") for node in nodes))


async def _seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def crossing_share(nodes: int, lines: int) -> float:
    """Returns the share of orders whose lines, of SKUs drawn evenly, are on more than one node."""
    return 1.0 - float(nodes) ** (1 - lines)


def simulate(nodes: int, crossing: float, cost: CommitCost, seed: int = 1) -> float:
    """Returns orders a second of CALLERS callers, each with one order at a time.

    Each node has one transaction in flight, and gathers the next batch meanwhile, as the committer does today. Orders
    that cross nodes have batches of their own, which hold their locks on every node until all have committed.
    """
    draw, done = random.Random(seed), 0
    waiting: list[deque[int]] = [deque() for _ in range(nodes + 1)]  # the last one crosses
    busy = [False] * nodes
    ends: list[tuple[float, int, list[int]]] = []
    turns = 0

    def come(caller: int) -> None:
        waiting[nodes if draw.random() < crossing else draw.randrange(nodes)].append(caller)

    def start(now: float) -> None:
        """Starts what can be started; crossing batches and others take turns."""
        nonlocal turns
        if waiting[nodes] and (turns % 2 or not any(waiting[:nodes])):
            if not any(busy):
                turns += 1
                batch = _take(waiting[nodes])
                for node in range(nodes):
                    busy[node] = True
                # Its orders' rows are spread over the nodes, which work on them at the same time.
                seconds = TRANSACTION_SECONDS + len(batch) * ORDER_SECONDS * 2 / nodes + cost.two_phases
                heapq.heappush(ends, (now + seconds, nodes, batch))
            return
        for node in range(nodes):
            if waiting[node] and not busy[node]:
                turns += 1
                busy[node] = True
                batch = _take(waiting[node])
                seconds = TRANSACTION_SECONDS + len(batch) * ORDER_SECONDS + cost.one
                heapq.heappush(ends, (now + seconds, node, batch))

    for caller in range(CALLERS):
        come(caller)
    now = 0.0
    start(now)
    while now < SECONDS:
        now, node, batch = heapq.heappop(ends)
        done += len(batch)
        for each in range(nodes) if node == nodes else (node,):
            busy[each] = False
        for caller in batch:
            come(caller)
        start(now)
    return done / now


def _take(queue: deque[int]) -> list[int]:
    return [queue.popleft() for _ in range(min(len(queue), BATCH))]
