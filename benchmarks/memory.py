"""Row 12. Does a server process grow with what it has done?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from stockward.inventory.v1 import inventory_pb2

from benchmarks.calls import CREATE_ORDER
from benchmarks.load import Load, Sample, figures
from benchmarks.processes import pid_of, resident_bytes
from benchmarks.report import Benchmark, Result, Run
from benchmarks.shop import Shop

SECONDS = 40.0
"""How long orders are made where nobody says how many."""

STEPS = 20
"""Times that the memory is looked at."""

SMALLEST = 50
"""Bytes. Anything kept for an order would take more: an id alone is a string of 85 bytes."""

MIB = 2**20


async def answer(run: Run) -> Sequence[Result]:
    wanted = run.options.orders
    async with Shop.open(run) as shop:
        server = await shop.server()
        pid = pid_of(server)
        at_start = resident_bytes(pid)
        seconds = run.seconds if run.options.quick else SECONDS / STEPS
        load = Load([server], CREATE_ORDER)
        samples: list[Sample] = []
        made: list[int] = []
        memory: list[int] = []
        while len(samples) < STEPS or (wanted and made[-1] < wanted):
            samples.append(await load.measure(shop.client, seconds, shop.processes(server)))
            made.append(sum(sample.units for sample in samples))
            memory.append(resident_bytes(pid))
            run.say(f"{made[-1]:,} orders, {memory[-1] / MIB:.0f} MiB")
        # The first half fills caches, pools and arenas.
        half = len(made) // 2
        slope = statistics.linear_regression(made[half:], memory[half:]).slope
        millionth = memory[-1] + max(0.0, slope) * max(0, 1_000_000 - made[-1])
        extrapolated = "" if made[-1] >= 1_000_000 else f" At that pace {millionth / MIB:.0f} MiB after 1,000,000."
        return [
            Result(
                12,
                "Memory of a server process after many orders, against its start",
                round(memory[-1] / at_start, 4),
                f"< {SMALLEST} bytes an order",
                slope < SMALLEST,
                f"{at_start / MIB:.1f} MiB at the start, {memory[half] / MIB:.1f} MiB after {made[half]:,} orders, "
                f"{memory[-1] / MIB:.1f} MiB after {made[-1]:,}.\n"
                f"Growth in the second half: {slope:+.1f} bytes an order.{extrapolated}\n"
                + "\n".join([figures("CreateOrder", samples), await shop.audit(server)]),
            ),
            _watches(),
        ]


def _watches() -> Result:
    methods = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].methods_by_name
    missing = "Not built yet: the contract has no WatchStock."
    there = "WatchStock is in the contract, and this benchmark does not open it yet."
    detail = there if "WatchStock" in methods else missing
    return Result(12, "Memory of a server process with 1,000 open watches", None, "reported", None, detail)


BENCHMARK = Benchmark(12, "Memory of a server process after many orders", answer, limit=90)
