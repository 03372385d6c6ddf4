"""Row 1. Does a durable, idempotent, evented order on one hot SKU cost little more than an empty gRPC call?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.load import IN_FLIGHT, Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import Shop, orders_a_transaction

QUESTION = f"CreateOrder on one hot SKU, {IN_FLIGHT} in flight, against an empty gRPC call"


async def answer(run: Run) -> Sequence[Result]:
    async with Shop.open(run) as shop:
        server = await shop.server()
        empty = await shop.empty_server(server, (CREATE_ORDER, Shape()))
        samples = await interleave(
            run,
            {
                "order": shop.side(Load([server], CREATE_ORDER)),
                "empty call": shop.side(Load([empty], CREATE_ORDER)),
            },
        )
        orders, empties = samples["order"], samples["empty call"]
        rates = ratio(orders, empties)
        cpu = ratio(empties, orders, lambda sample: sample.cpu_us("server"))
        return [
            Result.compared(
                1,
                QUESTION,
                rates.median,
                at_least(0.60),
                f"Ratio of the rates: {rates}. Of the server process's CPU time alone it would be {cpu}.",
                figures("CreateOrder", orders),
                figures("Empty call", empties),
                f"{await orders_a_transaction(shop.database, orders):.0f} orders a transaction.",
                await shop.audit(server),
            )
        ]


BENCHMARK = Benchmark(1, QUESTION, answer, limit=90)
