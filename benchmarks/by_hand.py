"""Rows 15 and 17. Is an order faster than one that is written by hand, from one caller to many, and where a flush of
the log takes as long as on network disks?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.calls import CREATE_ORDER
from benchmarks.load import Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import Shop, make_database

QUESTION = "CreateOrder on one hot SKU against a servicer by hand that calls one SQL function"

TARGETS = {1: 0.9, 8: 1.5, 64: 3.0, 256: 4.0}
"""The wanted ratio of the rates, by the number of orders in flight."""

SLOW_FLUSH = {"commit_delay": "2000", "commit_siblings": "0"}
"""Settings with which each flush of the log waits for 2 ms."""

SLOW_TARGETS = {1: 0.95, 8: 3.0, 64: 8.0, 256: 10.0}


async def answer(
    run: Run, *, row: int, question: str, targets: Mapping[int, float], settings: Mapping[str, str] | None
) -> Sequence[Result]:
    """`targets` by the number of orders in flight; `settings` of PostgreSQL."""
    async with Shop.open(run, postgres_settings=settings) as shop:
        server = await shop.server()
        by_hand = await shop.services.by_hand_server(await make_database(shop.services, name="by_hand"))
        measured = {}
        for in_flight in targets:
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
            row,
            f"{question}, {in_flight} in flight",
            (rates := ratio(orders, hand)).median,
            at_least(targets[in_flight]),
            f"Ratio of the rates: {rates}.",
            figures("CreateOrder", orders),
            figures("By hand", hand, "order"),
            audit,
        )
        for in_flight, (orders, hand) in measured.items()
    ]


BENCHMARK = Benchmark(
    15, QUESTION, partial(answer, row=15, question=QUESTION, targets=TARGETS, settings=None), limit=180
)

SLOW_QUESTION = f"{QUESTION}, a flush takes 2 ms"

SLOW_DISK = Benchmark(
    17,
    SLOW_QUESTION,
    partial(answer, row=17, question=SLOW_QUESTION, targets=SLOW_TARGETS, settings=SLOW_FLUSH),
    limit=180,
)
