"""Row 5. Do two server processes on one hot SKU slow each other down, and do they never oversell?"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.calls import CREATE_ORDER
from benchmarks.load import Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Failure, Result, Run, at_least
from benchmarks.shop import Shop, audit, make_database, orders_a_transaction

SCARCE = 500
"""Units of the SKU that sells out."""

REFUSAL = "FAILED_PRECONDITION"
"""Status code of INSUFFICIENT_STOCK."""


async def answer(run: Run) -> Sequence[Result]:
    async with Shop.open(run) as shop:
        first, second = await shop.server(), await shop.server()
        samples = await interleave(
            run,
            {
                "two servers": shop.side(Load([first, second], CREATE_ORDER)),
                "one server": shop.side(Load([first], CREATE_ORDER)),
            },
        )
        two, one = samples.values()
        rates = ratio(two, one)
        return [
            Result.compared(
                5,
                "CreateOrder on one hot SKU by two server processes against one",
                rates.median,
                at_least(1.0),
                f"Ratio of the rates: {rates}.",
                figures("Two servers", two, "order"),
                figures("One server", one, "order"),
                f"{await orders_a_transaction(shop.database, two):.0f} orders a transaction with two, "
                f"{await orders_a_transaction(shop.database, one):.0f} with one.",
                await _sell_out(run, shop),
                await shop.audit(first),
            )
        ]


async def _sell_out(run: Run, shop: Shop) -> str:
    """Sells a SKU out with far more buyers than units, through both servers at once."""
    run.say("selling out")
    database = await make_database(shop.services, units=SCARCE, name="scarce")
    servers = [await shop.services.server(database) for _ in range(2)]
    sold = 0
    while True:
        load = Load(servers, CREATE_ORDER, may_be_refused=True)
        sample = await load.measure(shop.client, run.seconds, {})
        sold += sample.units
        if set(sample.refused) - {REFUSAL}:
            raise Failure(f"orders were refused for another reason than the stock: {sample.refused}")
        if sample.refused:
            break
    if sold != SCARCE:
        raise Failure(f"{sold} units were sold of {SCARCE}")
    await audit(servers[0], database)
    return f"Sold out by two servers: {sold} of {SCARCE} units, {sample.refused[REFUSAL]} buyers refused."


BENCHMARK = Benchmark(5, "CreateOrder on one hot SKU by two server processes", answer, limit=100)
