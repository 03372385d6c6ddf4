"""Row 15. Is an order faster than one that is written by hand, from one caller to many?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.calls import CREATE_ORDER
from benchmarks.load import Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import Shop, make_database

QUESTION = "CreateOrder on one hot SKU against a servicer by hand that calls one SQL function"

TARGETS = {1: 0.9, 8: 1.5, 64: 3.0, 256: 4.0}
"""The wanted ratio of the rates, by the number of orders in flight."""


async def answer(run: Run) -> Sequence[Result]:
    async with Shop.open(run) as shop:
        server = await shop.server()
        by_hand = await shop.services.by_hand_server(await make_database(shop.services, name="by_hand"))
        measured = {}
        for in_flight in TARGETS:
            samples = await interleave(
                run,
                {
                    f"order, {in_flight} in flight": shop.side(Load([server], CREATE_ORDER, in_flight=in_flight)),
                    f"by hand, {in_flight} in flight": shop.side(Load([by_hand], CREATE_ORDER, in_flight=in_flight)),
                },
            )
            measured[in_flight] = tuple(samples.values())
        audit = await shop.audit(server)
    return [
        Result.compared(
            15,
            f"{QUESTION}, {in_flight} in flight",
            (rates := ratio(orders, hand)).median,
            at_least(TARGETS[in_flight]),
            f"Ratio of the rates: {rates}.",
            figures("CreateOrder", orders),
            figures("By hand", hand, "order"),
            audit,
        )
        for in_flight, (orders, hand) in measured.items()
    ]


BENCHMARK = Benchmark(15, QUESTION, answer, limit=180)
