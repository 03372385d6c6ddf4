"""Row 2. Are orders over many SKUs as quick as those on one, and what do five lines cost?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.load import Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import Shop, orders_a_transaction

SKUS = 1_000
MANY, FIVE_LINES = Shape(skus=SKUS), Shape(skus=SKUS, lines=5)


async def answer(run: Run) -> Sequence[Result]:
    async with Shop.open(run, SKUS) as shop:
        server = await shop.server()
        empty = await shop.empty_server(server, (CREATE_ORDER, FIVE_LINES))
        samples = await interleave(
            run,
            {
                "one SKU": shop.side(Load([server], CREATE_ORDER)),
                "1,000 SKUs": shop.side(Load([server], CREATE_ORDER, MANY)),
                "5 lines": shop.side(Load([server], CREATE_ORDER, FIVE_LINES)),
                "empty call": shop.side(Load([empty], CREATE_ORDER, FIVE_LINES)),
            },
        )
        hot, many, five, empties = samples.values()
        spread_out, lines = ratio(many, hot), ratio(five, empties)
        batches = [await orders_a_transaction(shop.database, side) for side in (hot, many, five)]
        audited = await shop.audit(server)
        return [
            Result.compared(
                2,
                "CreateOrder over 1,000 SKUs against one hot SKU",
                spread_out.median,
                at_least(0.90),
                f"Ratio of the rates: {spread_out}.",
                figures("1,000 SKUs", many),
                figures("One SKU", hot),
                f"{batches[1]:.0f} and {batches[0]:.0f} orders a transaction.",
                audited,
            ),
            Result.compared(
                2,
                "CreateOrder of 5 lines against an empty gRPC call with the same messages",
                lines.median,
                at_least(0.45),
                f"Ratio of the rates: {lines}.",
                figures("5 lines", five),
                figures("Empty call", empties),
                f"{batches[2]:.0f} orders a transaction.",
                audited,
            ),
        ]


BENCHMARK = Benchmark(2, "CreateOrder over 1,000 SKUs, and of 5 lines", answer, limit=120)
