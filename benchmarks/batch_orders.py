"""Row 6. How much does sending 200 orders in one call save?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.calls import BATCH_CREATE_ORDERS, CREATE_ORDER, Shape
from benchmarks.load import IN_FLIGHT, Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Result, Run
from benchmarks.shop import Shop, orders_a_transaction

ORDERS = 200
BATCHES = 5
"""Calls in flight, enough for full transactions."""

QUESTION = f"BatchCreateOrders of {ORDERS} against CreateOrder, orders a second"


async def answer(run: Run) -> Sequence[Result]:
    async with Shop.open(run) as shop:
        server = await shop.server()
        samples = await interleave(
            run,
            {
                "batches": shop.side(Load([server], BATCH_CREATE_ORDERS, Shape(orders=ORDERS), BATCHES)),
                "single orders": shop.side(Load([server], CREATE_ORDER)),
            },
        )
        batches, singles = samples.values()
        rates = ratio(batches, singles)
        return [
            Result.reported(
                6,
                QUESTION,
                rates.median,
                f"Ratio of the rates: {rates}.",
                figures(f"Batches of {ORDERS}, {BATCHES} in flight", batches, "order"),
                figures(f"Single orders, {IN_FLIGHT} in flight", singles, "order"),
                f"{await orders_a_transaction(shop.database, batches):.0f} orders a transaction from batches, "
                f"{await orders_a_transaction(shop.database, singles):.0f} from single calls.",
                await shop.audit(server),
            )
        ]


BENCHMARK = Benchmark(6, QUESTION, answer, limit=90)
