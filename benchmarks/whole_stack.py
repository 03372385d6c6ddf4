"""Rows 18 and 19. What do events and webhooks cost the orders that cause them, and what do an order and its webhooks
cost now, against an earlier state of this repository?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

import aiohttp

from benchmarks.calls import CREATE_ORDER
from benchmarks.load import Load, Sample, Side, figures, interleave, ratio
from benchmarks.processes import cpu_used, pid_of
from benchmarks.release import Release, released
from benchmarks.report import Benchmark, Result, Run, at_least, at_most
from benchmarks.shop import Shop, make_database
from benchmarks.webhook_gateway import delivering

WITH_EVENTS = "CreateOrder with relay, gateway and a receiver running, against without them"

IN_FLIGHT = {1: 0.7, 8: 0.7, 64: 0.7, 256: 0.7}
"""The wanted ratio of the rates, by the number of orders in flight."""

EVENTS_AN_ORDER = 2
"""order.created and stock.changed."""

ORDINARY_DAY = "An order and its webhooks, 8 in flight: CPU time of all processes, against the earlier state"

ONE_AT_A_TIME = "One order at a time beside relay and gateway: latency, against the earlier state"

Orders = Callable[[int], Side]
"""Returns the side of so many orders in flight."""

EARLIER = "3b5548248d84a00fb8ad18d7068bb91747c8c4b7"
"""The default of the earlier state: the last commit before an order was written in one round trip."""


async def with_events(run: Run) -> Sequence[Result]:
    """Compares orders of two databases of the same services; only one of them has a relay and a gateway."""
    async with Shop.open(run) as shop, whole_stack(run, shop) as orders:
        server = await shop.services.server(await make_database(shop.services, name="alone"))
        measured = {
            in_flight: await interleave(
                run,
                {
                    f"with, {in_flight} in flight": orders(in_flight),
                    f"without, {in_flight} in flight": shop.side(Load([server], CREATE_ORDER, in_flight=in_flight)),
                },
            )
            for in_flight in IN_FLIGHT
        }
        audit = await shop.audit(server)
    results = []
    for in_flight, samples in measured.items():
        whole, alone = samples.values()
        rates = ratio(whole, alone)
        results.append(
            Result.compared(
                18,
                f"{WITH_EVENTS}, {in_flight} in flight",
                rates.median,
                at_least(IN_FLIGHT[in_flight]),
                f"Ratio of the rates: {rates}.",
                figures("With them", whole, "order"),
                figures("Without", alone, "order"),
                audit,
            )
        )
    return results


async def against_earlier(run: Run) -> Sequence[Result]:
    """Runs both states with services of their own, each with its own schema, and measures them in turns."""
    async with AsyncExitStack() as stack:
        earlier = await stack.enter_async_context(released(run.options.against or EARLIER))
        states = {
            "now": await stack.enter_async_context(_state(run, None)),
            earlier.name: await stack.enter_async_context(_state(run, earlier)),
        }
        one = await interleave(run, {f"{name}, 1 in flight": orders(1) for name, orders in states.items()})
        eight = await interleave(run, {f"{name}, 8 in flight": orders(8) for name, orders in states.items()})
    now_one, before_one = one.values()
    now_eight, before_eight = eight.values()
    cpu = ratio(now_eight, before_eight, cpu_us)
    middle = ratio(now_one, before_one, lambda sample: latency(sample, 0))
    tail = ratio(now_one, before_one, lambda sample: latency(sample, 1))
    return [
        Result.compared(
            19,
            ORDINARY_DAY,
            cpu.median,
            at_most(0.5),
            f"Ratio of the CPU time: {cpu}.",
            figures("Now", now_eight, "order"),
            figures(f"At {earlier.name}", before_eight, "order"),
        ),
        Result.compared(
            19,
            ONE_AT_A_TIME,
            middle.median,
            at_most(0.6),
            f"Ratio of the medians: {middle}; of the 99th percentiles: {tail}.",
            figures("Now", now_one, "order"),
            figures(f"At {earlier.name}", before_one, "order"),
        ),
    ]


@asynccontextmanager
async def _state(run: Run, release: Release | None) -> AsyncIterator[Orders]:
    async with Shop.open(run, release=release) as shop, whole_stack(run, shop) as orders:
        yield orders


@asynccontextmanager
async def whole_stack(run: Run, shop: Shop) -> AsyncIterator[Orders]:
    """Runs server, relay, gateway and a receiver of all events.

    Yields a function that returns the side of so many orders in flight. It ends when the last webhook has arrived, so
    that nothing of it disturbs the next side; its CPU time is that of all processes but client and receiver.
    """
    server = await shop.server()
    async with aiohttp.ClientSession() as http, delivering(shop, http) as (receiver, ours):
        processes = {**ours, "server": pid_of(server), "NATS": pid_of(shop.services.nats)}
        del processes["receiver"]

        async def measure(in_flight: int) -> Sample:
            await receiver.forget()
            with cpu_used(processes) as cpu:
                load = Load([server], CREATE_ORDER, in_flight=in_flight)
                sample = await load.measure(shop.client, run.seconds, {})
                await receiver.until(EVENTS_AN_ORDER * sample.units)
            return replace(sample, cpu=cpu)

        yield lambda in_flight: partial(measure, in_flight)
        await shop.audit(server)


def cpu_us(sample: Sample) -> float:
    """Returns the microseconds of CPU time for one order, of all processes together."""
    return sum(map(sample.cpu_us, sample.cpu))


def latency(sample: Sample, which: int) -> float:
    """Returns the median (0) or the 99th percentile (1), in milliseconds."""
    assert sample.latencies_ms is not None
    return sample.latencies_ms[which]


WITH_AND_WITHOUT = Benchmark(18, WITH_EVENTS, with_events, limit=240)

AGAINST_EARLIER = Benchmark(19, ORDINARY_DAY, against_earlier, limit=150)
