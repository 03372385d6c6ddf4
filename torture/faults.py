"""The faults of the stack. The seed decides their kinds, targets, order and length."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

import asyncpg
from stockward.order.v1.order_pb2 import ListOrdersRequest

from stockward_server.storage.events.event_log import Selection, republish
from tests.faults.proxy import Loss, PostgresProxy, Proxy
from torture.calls import connected
from torture.history import History
from torture.listeners import STAFF
from torture.stack import POOL_SIZE, Stack, freeze, thaw

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Errors of a connection that another fault has broken."""

Deed = Callable[[Stack, str, float], Awaitable[None]]
"""Causes the fault at the target, holds it for a number of seconds, and heals it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    name: str
    target: str
    pause: float
    """Seconds without faults before it."""
    seconds: float
    """How long it lasts."""

    def __str__(self) -> str:
        return f"{self.name} {self.target} for {self.seconds:.1f} s".replace("  ", " ")


# To processes


async def kill(stack: Stack, target: str, seconds: float) -> None:
    """Sends SIGKILL and restarts the process after a while."""
    await stack.service(target).kill()
    await asyncio.sleep(seconds / 2)
    await stack.service(target).start()


async def stop_and_go(stack: Stack, target: str, seconds: float) -> None:
    """Sends SIGSTOP and SIGCONT: the process keeps what it holds and does not notice the time."""
    service = stack.service(target)
    freeze(service)
    try:
        await asyncio.sleep(seconds)
    finally:
        thaw(service)


async def turn_clock(stack: Stack, target: str, seconds: float) -> None:
    """Makes the clock jump from slow to fast, or the other way, and back."""
    if clock := stack.processes[target].clock:
        clock.turn(-clock.seconds)
        try:
            await asyncio.sleep(seconds)
        finally:
            clock.turn(clock.seconds)


async def roll(stack: Stack, target: str, seconds: float) -> None:
    """Shuts servers down gracefully and restarts them, one after another."""
    for process in stack.of("server"):
        await process.restart()


async def wipe(stack: Stack, target: str, seconds: float) -> None:
    """Deletes the data of NATS and fills it again from PostgreSQL.

    docs/how-to/operator/backup-and-restore.md describes it.
    """
    relays = stack.of("relay")
    await asyncio.gather(*(relay.stop() for relay in relays))
    await stack.nats.kill()
    await asyncio.to_thread(shutil.rmtree, stack.nats.store_dir)
    await stack.nats.start()
    await _insist(lambda: republish(stack.pool, Selection()))
    await asyncio.gather(*(relay.start() for relay in relays))


async def fill(stack: Stack, target: str, seconds: float) -> None:
    """Leaves room for only a few more events in NATS until it is healed."""
    try:
        await stack.nats.limit(stack.nats.used() + 20_000)
        await asyncio.sleep(seconds)
    finally:
        await stack.nats.limit(None)


async def _insist(work: Callable[[], Awaitable[object]]) -> None:
    """Repeats the work until it succeeds, as another fault may have stopped PostgreSQL."""
    while True:
        try:
            await work()
            return
        except LOST:
            await asyncio.sleep(0.1)


# To connections


def _ways(stack: Stack, target: str) -> Sequence[Proxy]:
    """Returns the proxies of a target: `server-1 postgres` is one connection of one process, `all postgres` that of
    all."""
    name, _, way = target.partition(" ")
    processes = list(stack.processes.values()) if name == "all" else [stack.processes[name]]
    return [each for each in (getattr(process.ways, way) for process in processes) if each]


def _to_postgres(stack: Stack, target: str) -> Sequence[PostgresProxy]:
    return [way for way in _ways(stack, f"{target} postgres") if isinstance(way, PostgresProxy)]


async def delay(stack: Stack, target: str, seconds: float) -> None:
    await _for_a_while(stack, target, seconds, "delay", 0.05, 0.0)


async def throttle(stack: Stack, target: str, seconds: float) -> None:
    await _for_a_while(stack, target, seconds, "rate", 200_000.0, None)


async def _for_a_while(
    stack: Stack, target: str, seconds: float, what: str, value: float, normal: float | None
) -> None:
    for way in _ways(stack, target):
        setattr(way, what, value)
    try:
        await asyncio.sleep(seconds)
    finally:
        for way in _ways(stack, target):
            setattr(way, what, normal)


async def black_hole(stack: Stack, target: str, seconds: float) -> None:
    """Stops all traffic; then resumes it or breaks the connections."""
    for way in _ways(stack, target):
        way.flowing.clear()
    try:
        await asyncio.sleep(seconds)
    finally:
        for way in _ways(stack, target):
            if seconds > 2:
                way.reset()
            way.flowing.set()


async def reset(stack: Stack, target: str, seconds: float) -> None:
    for way in _ways(stack, target):
        way.reset()


async def half_close(stack: Stack, target: str, seconds: float) -> None:
    for way in _ways(stack, target):
        way.half_close()


def lose_commit(loss: Loss) -> Deed:
    """Returns a fault that loses the target's COMMITs, one after another, while it lasts."""

    async def lose(stack: Stack, target: str, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    for way in _to_postgres(stack, target):
                        way.loss = loss
                        way.lost.clear()
                    await asyncio.sleep(0.3)
                    for way in _to_postgres(stack, target):
                        way.deliver()
        for way in _to_postgres(stack, target):
            way.loss = None
            way.deliver()

    return lose


# Exhaustion of PostgreSQL


async def take_connections(stack: Stack, target: str, seconds: float) -> None:
    """Uses all connections of PostgreSQL, so that new ones are refused."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    taken.append(await asyncpg.connect(stack.database_url, timeout=5))
                except LOST:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    finally:
        for connection in taken:
            connection.terminate()


async def lock_rows(stack: Stack, target: str, seconds: float) -> None:
    """Locks the rows that all clients need."""
    with contextlib.suppress(*LOST):
        async with stack.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM stock ORDER BY sku, location_id FOR UPDATE")
            await asyncio.sleep(seconds)


async def exhaust_pool(stack: Stack, target: str, seconds: float) -> None:
    """Makes more calls wait for a lock than a server has connections."""
    number = int(target.removeprefix("server-")) - 1
    async with connected([stack.addresses[number]]) as (stubs,):
        with contextlib.suppress(*LOST):
            async with stack.pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
                waiting = (
                    stubs.orders.ListOrders(ListOrdersRequest(), timeout=seconds, metadata=STAFF)
                    for _ in range(POOL_SIZE + 2)
                )
                await asyncio.gather(*waiting, return_exceptions=True)


SERVERS = ("server-1", "server-2", "server-3", "server-4")
OTHERS = ("relay-1", "relay-2", "gateway-1", "gateway-2")
EVERYTHING = ("postgres", "nats", *SERVERS, *OTHERS)
WAYS = tuple(
    f"{name} {way}"
    for name in (*SERVERS, *OTHERS, "all")
    for way in ("postgres", "nats", "clients")
    if way != "clients" or name not in OTHERS
)

PROCESSES: dict[str, tuple[Deed, Sequence[str]]] = {
    "kill": (kill, EVERYTHING),
    "stand still": (stop_and_go, EVERYTHING),
    "turn the clock": (turn_clock, (*SERVERS, *OTHERS)),
    "rolling restart": (roll, ("",)),
    "wipe": (wipe, ("nats",)),
    "fill the disk": (fill, ("nats",)),
}
CONNECTIONS: dict[str, tuple[Deed, Sequence[str]]] = {
    "delay": (delay, ("all postgres", "all nats", "all clients")),
    "throttle": (throttle, WAYS),
    "black hole": (black_hole, WAYS),
    "reset": (reset, WAYS),
    "half-close": (half_close, WAYS),
    "lose COMMIT": (lose_commit(Loss.REQUEST), (*SERVERS, "all")),
    "lose COMMIT's answer": (lose_commit(Loss.ANSWER), (*SERVERS, "all")),
    "delay COMMIT": (lose_commit(Loss.DELAY), SERVERS),
    "take all connections": (take_connections, ("",)),
    "lock rows": (lock_rows, ("",)),
    "exhaust the pool": (exhaust_pool, SERVERS),
}
DEEDS = PROCESSES | CONNECTIONS

LANES = {"processes": PROCESSES, "connections": CONNECTIONS}
"""Groups of faults: one fault of each at a time, so two in all."""


async def deal(lane: str, seed: int, servers: int) -> AsyncIterator[Fault]:
    """Yields faults without end: each kind once, in random order, before any repeats."""
    rng = Random(f"{seed}/{lane}")
    absent = SERVERS[servers:]
    targets = {
        name: [target for target in choice if not target.startswith(absent)]
        for name, (_, choice) in LANES[lane].items()
    }
    for each in targets.values():
        rng.shuffle(each)
    deck: list[str] = []
    turn = 0
    while True:
        if not deck:
            # Each process is killed and stopped in turn, so these two kinds occur more often.
            deck = [*LANES[lane], *(["kill", "kill", "stand still"] if lane == "processes" else [])]
            rng.shuffle(deck)
        name = deck.pop()
        target = targets[name][turn % len(targets[name])]
        turn += 1
        yield Fault(name, target, rng.uniform(0.2, 1.2), rng.uniform(0.4, 3.0))


async def torment(stack: Stack, lane: str, seed: int, history: History, done: list[Fault]) -> None:
    """Causes faults until it is cancelled and the last one has ended: a process that is stopping must be restarted."""
    async for fault in deal(lane, seed, len(stack.addresses)):
        await asyncio.sleep(fault.pause)
        history.note(str(fault))
        done.append(fault)
        lost = stack.commits_lost
        deed = asyncio.ensure_future(DEEDS[fault.name][0](stack, fault.target, fault.seconds))
        try:
            await asyncio.shield(deed)
        finally:
            await deed
        lost_commits = f", {stack.commits_lost - lost} COMMITs lost" if "COMMIT" in fault.name else ""
        history.note(f"healed: {fault.name} {fault.target}{lost_commits}")
