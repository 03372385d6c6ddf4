"""One run: sets up a shop, works in it, causes faults, heals them, and checks the result."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from statistics import median
from typing import Protocol

import asyncpg

from stockward_server.storage.database import Pool
from torture.calls import Caller, connected
from torture.checks import Evidence, Finding, Pace, judge
from torture.checks.counters import audit_counters
from torture.checks.delivered import read_record
from torture.checks.recovery import as_fast
from torture.faults import Fault, torment
from torture.history import History, Outcome
from torture.listeners import EventReader, Receiver, StockWatch
from torture.stack import Stack
from torture.usage import Usage
from torture.workload import Client, World, open_shop, sell_out


class Subject(Protocol):
    """The system under test, in separate processes or in this one."""

    @property
    def addresses(self) -> list[str]: ...
    @property
    def receivers(self) -> Mapping[str, Receiver]: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def nats_url(self) -> str: ...
    @property
    def most_connections(self) -> int: ...
    async def heal(self) -> None: ...
    async def usage(self) -> Usage: ...
    def errors(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters of a run; the same plan makes the same run."""

    seed: int
    seconds: float
    """Seconds of work, most of it under faults."""
    clients: int = 12
    servers: int = 2
    broken: str = ""
    """Name of the broken build; empty for the correct one."""
    pause: float = 0.1
    """Mean pause of a client between two calls, in seconds."""
    calm: float = 0.0
    """Seconds without faults before and after the storm, for measuring; 0 means a tenth of the work."""
    rest: float = 1.5
    """Seconds after which idle connections to receivers are closed."""
    least_calls: int = 0
    """Minimum number of calls, however long they take."""
    hold_seconds: int = 4
    """Longest TTL of a hold."""
    leaves: bool = True
    """Whether clients sometimes cancel calls."""
    charges: bool = True
    """Whether clients use charges, tenders and reports of payments that the previous release does not know."""
    recover: float = 30.0
    """Seconds after which the former rate must be reached again."""
    settle: float = 90.0
    """Maximum seconds until everything is reported after the last fault; a failed session pauses up to 19 s."""


@dataclass(slots=True)
class Result:
    """The result of a run."""

    plan: Plan
    history: History
    faults: list[Fault]
    findings: list[Finding]
    paces: tuple[Pace, Pace]
    """Speed before the first and after the last fault."""
    settled_after: float = 0.0
    """Seconds from the last fault until everything was reported."""
    commits_lost: int = 0
    """COMMITs lost on the way to PostgreSQL, or their responses on the way back."""

    @property
    def held(self) -> bool:
        """Whether every promise was kept."""
        return not any(finding.violations for finding in self.findings)

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(call.outcome for call in self.history.calls)


Say = Callable[[str], None]


@dataclass(slots=True)
class Work:
    """Running clients and listeners."""

    world: World
    evidence: Evidence
    caller: Caller
    stop: asyncio.Event
    tasks: list[asyncio.Task[None]]
    opened: asyncio.Event
    """Clients pause while it is cleared."""
    background: list[asyncio.Task[None]] = field(default_factory=list)
    unseen: str = ""
    """Why the last audit failed to run."""


@asynccontextmanager
async def working(subject: Subject, plan: Plan) -> AsyncIterator[Work]:
    """Runs clients and listeners from the opening of the shop; clients stop when `stop` is set, listeners at the
    end."""
    history = History()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(connected(subject.addresses))
        caller = Caller("staff", servers, history, Random(f"{plan.seed}/staff"))
        caller.leaves = False
        world = await open_shop(caller)
        reader, watch = EventReader(servers, plan.seed), StockWatch(servers, plan.seed)
        evidence = Evidence(
            history, subject.pool, subject.nats_url, dict(subject.receivers), reader, watch, subject.most_connections
        )
        stop = asyncio.Event()
        work = Work(world, evidence, caller, stop, [], asyncio.Event())
        work.opened.set()
        for number in range(plan.clients):
            client = Client(
                f"client-{number}",
                world,
                servers,
                history,
                plan.seed,
                plan.hold_seconds,
                leaves=plan.leaves,
                charges=plan.charges,
            )
            work.tasks.append(asyncio.create_task(client.run(stop, work.opened, plan.pause)))
        work.background = [asyncio.create_task(each) for each in (reader.run(), watch.run(), audit_repeatedly(work))]
        try:
            yield work
        finally:
            for task in (*work.tasks, *work.background):
                task.cancel()
            ended = await asyncio.gather(*work.tasks, *work.background, return_exceptions=True)
            for each in ended:
                if isinstance(each, Exception):
                    raise each


AUDIT_SECONDS = 3.0
"""Mean and maximum seconds between two audits under load."""


async def audit_repeatedly(work: Work, pause: float = 1.0) -> None:
    """Audits the counters at random times whenever PostgreSQL is available: they must always add up."""
    evidence = work.evidence
    while True:
        await asyncio.sleep(pause)
        try:
            async with (
                asyncio.timeout(20),
                evidence.pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read"),
            ):
                found = await audit_counters(connection)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            work.unseen = repr(error)
        else:
            evidence.samples += 1
            when = f"under load, at {evidence.history.now():.1f} s"
            evidence.sampled += [replace(each, message=f"{when}: {each.message}") for each in found]


async def torture(subject: Subject, plan: Plan, say: Say = lambda text: None, lanes: Sequence[str] = ()) -> Result:
    """Executes the whole run. `lanes` are the groups of faults; empty for none."""
    faults: list[Fault] = []
    async with working(subject, plan) as work:
        history = work.evidence.history
        calm = plan.calm or max(2.0, plan.seconds / 10)
        say("opening hours, no faults yet")
        await asyncio.sleep(calm / 2)  # new processes are slow
        work.evidence.pace_before = await pace(history, calm)
        work.evidence.before = await usage_at_rest(subject, plan, work)
        if lanes:
            assert isinstance(subject, Stack), "faults are done to processes"
            await storm(subject, plan, max(0.0, plan.seconds - 3 * calm), work, faults, say, lanes)
        say("healing")
        await subject.heal()
        history.note("all faults are healed")
        healed = history.now()
        await until_answering(work)
        work.evidence.healed = await usage_at_rest(subject, plan, work)
        say("after the storm")
        recovered_by = history.now() + plan.recover
        while True:
            work.evidence.pace_after = await pace(history, calm)
            if as_fast(work.evidence) or history.now() > recovered_by:
                break
        while len(history.calls) < plan.least_calls:
            await asyncio.sleep(0.05)
        work.stop.set()
        await asyncio.gather(*work.tasks)
        looks, least = work.evidence.samples, int(history.now() / AUDIT_SECONDS)
        assert looks >= least, f"the counters were read {looks} times under load, not {least}: {work.unseen}"
        say("selling what is left")
        await sell_out(work.caller)
        say("waiting until everything is delivered")
        await settle(work, plan.settle)
        settled_after = history.now() - healed
        await asyncio.sleep(plan.rest)
        work.evidence.after = await subject.usage()
        say("judging")
        for task in work.background:
            task.cancel()
        await asyncio.gather(*work.background, return_exceptions=True)
        work.background.clear()
        work.evidence.errors = subject.errors()
        findings = await judge(work.evidence)
    paces = (work.evidence.pace_before, work.evidence.pace_after)
    commits_lost = subject.commits_lost if isinstance(subject, Stack) else 0
    return Result(plan, history, faults, findings, paces, settled_after, commits_lost)


async def storm(
    subject: Stack, plan: Plan, seconds: float, work: Work, faults: list[Fault], say: Say, chosen: Sequence[str]
) -> None:
    """Causes faults of every group concurrently for `seconds`."""
    history = work.evidence.history
    lanes = [asyncio.create_task(torment(subject, lane, plan.seed, history, faults)) for lane in chosen]
    end = history.now() + seconds
    try:
        while history.now() < end:
            last = history.notes[-1][1] if history.notes else "nothing yet"
            say(f"{end - history.now():.0f} s to go, {len(history.calls)} calls, last: {last}")
            tasks = (*lanes, *work.tasks, *work.background)
            done, _ = await asyncio.wait(tasks, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task  # a fault or a client that fails is a defect of this test
    finally:
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


async def usage_at_rest(subject: Subject, plan: Plan, work: Work) -> Usage:
    """Returns the usage without calls, once it has settled: new processes take a while."""
    work.opened.clear()
    await asyncio.sleep(plan.rest)
    usage = await subject.usage()
    for _ in range(10):
        await asyncio.sleep(0.3)
        last, usage = usage, await subject.usage()
        if abs(usage.tasks - last.tasks) + abs(usage.descriptors - last.descriptors) < 3:
            break
    work.opened.set()
    return usage


async def pace(history: History, seconds: float) -> Pace:
    """Measures the speed over the next `seconds`."""
    begin = history.now()
    await asyncio.sleep(seconds)
    answered = sum(call.end > begin and call.outcome is not Outcome.UNKNOWN for call in history.calls)
    attempts = [each for call in history.calls for each in call.attempts if each.start > begin and each.code == "OK"]
    latency = median(each.end - each.start for each in attempts) if attempts else 0.0
    return Pace(answered / (history.now() - begin), latency)


async def until_answering(work: Work) -> None:
    """Waits until calls succeed at the first attempt again."""
    history = work.evidence.history
    async with asyncio.timeout(90):
        while True:
            last = [call for call in history.calls[-40:] if call.attempts]
            attempts = [each for call in last for each in call.attempts if each.end and each.code != "CANCELLED"]
            if history.now() - min(call.start for call in last) < 3 and all(each.definite for each in attempts):
                return
            await asyncio.sleep(0.1)


async def settle(work: Work, seconds: float) -> None:
    """Waits until every hold has expired, and every event is in the stream, was delivered, and was read."""
    evidence = work.evidence

    async def pending() -> str:
        row = await evidence.pool.fetchrow(
            """
            SELECT (SELECT count(*) FROM outbox) AS outbox,
                   (SELECT count(*) FROM deliveries WHERE state = 1) AS deliveries,
                   (SELECT count(*) FROM reservations WHERE state = 1)
                       + (SELECT count(*) FROM orders WHERE state = 1 AND payment_due_time > now() - interval '1 s')
                       AS clocks,
                   (SELECT count(*) FROM events) AS events,
                   (SELECT count(*) FROM events WHERE type LIKE 'order.%') AS orders,
                   (SELECT count(*) FROM deliveries WHERE type LIKE 'order.%' AND endpoint_id = 'pms') AS fanned_out
            """
        )
        assert row is not None
        waiting = {name: row[name] for name in ("outbox", "deliveries", "clocks") if row[name]}
        if len(evidence.reader.received) < row["events"]:
            waiting["reader"] = row["events"] - len(evidence.reader.received)
        if row["fanned_out"] < row["orders"]:
            waiting["webhooks"] = row["orders"] - row["fanned_out"]
        return ", ".join(f"{count} of {name}" for name, count in waiting.items())

    deadline = evidence.history.now() + seconds
    while await pending() and evidence.history.now() < deadline:
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # a watch lags slightly behind the log
    evidence.events = await read_record(evidence.pool)
