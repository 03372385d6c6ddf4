"""Row 3. Do the reads of a storefront cost little more than an empty gRPC call, from the cache and without it?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.calls import GET_AVAILABILITY, GET_AVAILABLE_PRODUCT, Method, Shape
from benchmarks.load import Load, Sample, figures, interleave, ratio
from benchmarks.processes import Server
from benchmarks.report import Benchmark, Result, Run, Target, at_least
from benchmarks.shop import Shop
from stockward_server.config import variables

SHAPE = Shape(skus=100)
"""The reads of a storefront's visitors: few products often."""

CACHE = "STOCKWARD_CACHE_SECONDS"
"""The setting for the maximum age of a cached response, in seconds; 0 disables the cache."""

READS = {"GetAvailability": GET_AVAILABILITY, "GetAvailableProduct": GET_AVAILABLE_PRODUCT}
CACHED, FRESH = at_least(0.85), at_least(0.60)


async def answer(run: Run) -> Sequence[Result]:
    has_cache = CACHE in variables()
    async with Shop.open(run, SHAPE.skus) as shop:
        servers = {"not cached": await shop.server(**{CACHE: "0"})}
        if has_cache:
            servers["cached"] = await shop.server(**{CACHE: "1"})
        empty = await shop.empty_server(servers["not cached"], *((method, SHAPE) for method in READS.values()))
        results = []
        for name, method in READS.items():
            results += await _compare(run, shop, name, method, servers | {"empty call": empty})
            if not has_cache:
                results.append(
                    Result(3, f"{name}, cached", None, str(CACHED), None, f"Not built yet: there is no {CACHE}.")
                )
        return results


async def _compare(run: Run, shop: Shop, name: str, method: Method, servers: dict[str, Server]) -> list[Result]:
    samples = await interleave(
        run, {f"{name}, {what}": shop.side(Load([server], method, SHAPE)) for what, server in servers.items()}
    )
    empties = samples[f"{name}, empty call"]
    targets = {f"{name}, not cached": FRESH, f"{name}, cached": CACHED}
    return [_result(what, side, empties, targets[what]) for what, side in samples.items() if what in targets]


def _result(name: str, reads: list[Sample], empties: list[Sample], target: Target) -> Result:
    rates = ratio(reads, empties)
    return Result.compared(
        3,
        f"{name}, against an empty gRPC call with the same messages",
        rates.median,
        target,
        f"Ratio of the rates: {rates}.",
        figures(name, reads),
        figures("Empty call", empties),
    )


BENCHMARK = Benchmark(3, "GetAvailability and GetAvailableProduct, cached and not", answer, limit=120)
