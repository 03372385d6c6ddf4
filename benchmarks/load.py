"""Generates load on a server from a separate process, and compares alternatives in turns."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc

from benchmarks.calls import METHODS, STOREFRONT_KEY, Method, Shape, refusals
from benchmarks.processes import Server, Worker, cpu_used
from benchmarks.report import Failure, Run

CALL_SECONDS = 60.0
"""Deadline of every call, in seconds."""

IN_FLIGHT = 256
"""Default number of concurrent calls."""


@dataclass(slots=True)
class Sample:
    """One measurement: units of work (orders, reads, events) in a number of seconds."""

    units: int
    seconds: float
    start: float
    """Seconds since the epoch."""
    latencies_ms: tuple[float, float] | None = None
    """50th and 99th percentile."""
    refused: dict[str, int] = field(default_factory=dict)
    """Refused calls by status code; they are not counted as units."""
    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each process."""

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.units / self.seconds

    def cpu_us(self, process: str) -> float:
        """Returns this process's microseconds of CPU time for one unit."""
        return 1e6 * self.cpu[process] / max(1, self.units)


ONE_UNIT = Shape()

Side = Callable[[], Awaitable[Sample]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of two alternatives: the median over all pairs, with the smallest and the largest."""

    median: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.median:.3f} (median of {self.pairs} pairs, {self.low:.3f} to {self.high:.3f})"


async def interleave(run: Run, sides: Mapping[str, Side], warm_up: bool = True) -> dict[str, list[Sample]]:
    """Measures the sides in turns, A B A B, `run.pairs` times, after one round to warm up.

    It ends earlier, after a whole round, when the benchmark's time runs out; the ratios state their number of pairs.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(0 if warm_up else 1, run.pairs + 1):
        start = time.monotonic()
        for name, side in sides.items():
            run.say(f"{name}, {f'{number} of {run.pairs}' if number else 'warming up'}")
            sample = await side()
            if number:
                samples[name].append(sample)
        if number and run.seconds_left < 1.2 * (time.monotonic() - start):
            break
    return samples


def ratio(
    subject: Sequence[Sample], baseline: Sequence[Sample], of: Callable[[Sample], float] = lambda sample: sample.rate
) -> Ratio:
    """Returns `subject` divided by `baseline`, by default of their rates."""
    ratios = [of(a) / of(b) for a, b in zip(subject, baseline, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios), len(ratios))


async def measure(
    worker: Worker,
    function: Callable[..., Awaitable[float]],
    units: int,
    processes: Mapping[str, int],
    **arguments: Any,
) -> Sample:
    """Measures a function in a worker that returns the seconds for a number of units."""
    start = time.time()
    with cpu_used(processes) as cpu:
        seconds = await worker.call(function, **arguments)
    return Sample(units, seconds, start, cpu=cpu)


@dataclass(frozen=True, slots=True)
class Load:
    """Calls of one method, each as soon as the previous one ends, spread evenly over the servers."""

    servers: Sequence[Server]
    method: Method
    shape: Shape = ONE_UNIT
    in_flight: int = IN_FLIGHT
    may_be_refused: bool = False

    async def measure(self, client: Worker, seconds: float, processes: Mapping[str, int]) -> Sample:
        """Makes the calls from this client, and reads the CPU time of `processes` (by pid)."""
        start = time.time()
        with cpu_used(processes) as cpu:
            answer = await client.call(
                drive,
                addresses=[server.address for server in self.servers],
                path=self.method.path,
                shape=asdict(self.shape),
                in_flight=self.in_flight,
                seconds=seconds,
            )
        if answer["refused"] and not self.may_be_refused:
            raise Failure(f"{self.method.path} was refused: {answer['refused']}")
        return Sample(
            units=answer["answered"] * self.shape.orders,
            seconds=answer["seconds"],
            start=start,
            latencies_ms=answer["latencies_ms"],
            refused=answer["refused"],
            cpu=cpu,
        )


async def drive(
    addresses: list[str], path: str, shape: dict[str, Any], in_flight: int, seconds: float
) -> dict[str, Any]:
    """Runs in a worker: keeps `in_flight` calls open for `seconds`, and waits for the last ones."""
    async with Caller(addresses, path, Shape(**shape)) as caller:
        start = time.perf_counter()

        async def call_again_and_again(number: int) -> None:
            while time.perf_counter() < start + seconds:
                await caller.call(number)

        await asyncio.gather(*(call_again_and_again(number) for number in range(in_flight)))
        return caller.answer(time.perf_counter() - start)


async def drive_paced(
    addresses: list[str], path: str, shape: dict[str, Any], per_second: float, seconds: float
) -> dict[str, Any]:
    """Runs in a worker: starts `per_second` calls a second, regardless of earlier responses."""
    async with Caller(addresses, path, Shape(**shape)) as caller:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number in range(int(per_second * seconds)):
                await asyncio.sleep(start + number / per_second - time.perf_counter())
                calls.create_task(caller.call(number))
        return caller.answer(time.perf_counter() - start)


class Caller:
    """Calls one method, with a channel to each server, and records the results."""

    def __init__(self, addresses: list[str], path: str, shape: Shape) -> None:
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        self._method, self._shape = METHODS[path], shape
        self._channels = [grpc.aio.insecure_channel(address, options=options) for address in addresses]
        self._calls = [
            channel.unary_unary(
                path,
                request_serializer=self._method.request.SerializeToString,
                response_deserializer=self._method.response.FromString,
            )
            for channel in self._channels
        ]
        self._metadata = (("authorization", f"Bearer {STOREFRONT_KEY}"),)
        self._latencies: list[float] = []
        self._refused: Counter[str] = Counter()

    async def __aenter__(self) -> Caller:
        await asyncio.gather(*(channel.channel_ready() for channel in self._channels))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def call(self, number: int) -> None:
        """Makes one call; the number selects the server."""
        call = self._calls[number % len(self._calls)]
        start = time.perf_counter()
        try:
            answer = await call(self._method.make(self._shape), metadata=self._metadata, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            self._refused[error.code().name] += 1
            return
        self._latencies.append(1e3 * (time.perf_counter() - start))
        if refused := refusals(answer):
            self._refused["IN_BATCH"] += refused

    def answer(self, seconds: float) -> dict[str, Any]:
        """Returns the results for `Load.measure`."""
        return {
            "answered": len(self._latencies),
            "seconds": seconds,
            "latencies_ms": percentiles(self._latencies),
            "refused": self._refused,
        }


def percentiles(values: list[float]) -> tuple[float, float] | None:
    """Returns the 50th and 99th percentile."""
    if len(values) < 2:
        return (values[0], values[0]) if values else None
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]


def figures(what: str, samples: Sequence[Sample], unit: str = "call") -> str:
    """Describes the samples: rate, latency, and each process's CPU time for one unit; medians, with the range of the
    rates."""
    rates = [sample.rate for sample in samples]
    text = f"{what}: {statistics.median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"
    latencies = [sample.latencies_ms for sample in samples if sample.latencies_ms]
    if latencies:
        p50, p99 = (statistics.median(each) for each in zip(*latencies, strict=True))
        text += f", p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    medians = {name: statistics.median(sample.cpu_us(name) for sample in samples) for name in samples[0].cpu}
    costs = ", ".join(
        f"{name} {cost:,.0f} "
        f"({statistics.median(sample.cpu[name] / sample.seconds for sample in samples):.0%} of a core)"
        for name, cost in medians.items()
        if cost >= 1
    )
    return text + (f"; CPU µs per {unit}: {costs}" if costs else "")
