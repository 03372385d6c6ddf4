"""Diagnoses a shop: services that are down, backlogs, and what to do about them. It changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import asyncpg
import grpc
import nats.errors
import nats.js.errors
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nats.aio.client import Client
from nats.js.api import StreamInfo

from stockward_server.application.ports.status import Finding, Verdict
from stockward_server.application.ports.stock import Discrepancy
from stockward_server.observability.certificates import expiry_of
from stockward_server.observability.lost_events import newest_events, unknown_events
from stockward_server.observability.replica_check import check_replicas
from stockward_server.relay.stream import LARGEST_MESSAGE, differences
from stockward_server.runtime.nats import nats_errors, open_nats
from stockward_server.runtime.supervision import Unavailable
from stockward_server.storage.database import Pool, is_database_down, migration_state, open_pool
from stockward_server.storage.events.backlog import Backlog, read_backlog
from stockward_server.storage.events.outbox import LOCK_CLASS, PRESENCE
from stockward_server.storage.postgres_version import PostgresTooOld
from stockward_server.storage.read.short_audit import audit_recent
from stockward_server.storage.webhooks.feed import FEED_LOCK

SECONDS = 5.0
"""Timeout of one check, in seconds."""

STREAM_SECONDS = 2.0
"""Timeout of one request to JetStream, in seconds."""

DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings of PostgreSQL that make commits durable."""

WITHOUT_STANDBY = """
    SELECT current_setting('synchronous_standby_names') <> '' AND pg_has_role('pg_read_all_stats', 'member')
        AND NOT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))
"""
"""Selects whether COMMIT waits for a standby that is not connected; false where the user may not know."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The shop to check, and how to reach its services."""

    database_url: str
    nats_url: str
    nats_api: str
    """Prefix of JetStream's API there."""
    stream_name: str
    stream_age: timedelta
    """How long the stream keeps events."""
    stream_replicas: int
    """On how many servers of NATS; 0 where it is not set."""
    grpc_address: str
    channel_to: Callable[[str], AbstractAsyncContextManager[grpc.aio.Channel]]
    """Opens a channel to an address, with TLS or without."""
    certificates: Mapping[str, Path]
    """Certificate files (PEM) by the variable that names each."""
    database_read_url: str = ""
    """Of the standbys that serve lists; empty where there are none."""
    replica_seconds: float = 0.0
    """How old these may be, in seconds."""


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, next_step: str) -> Finding:
    return Finding(check, Verdict.WARNING, found, next_step)


def problem(check: str, found: str, next_step: str) -> Finding:
    return Finding(check, Verdict.PROBLEM, found, next_step)


async def check_up(subject: Subject) -> AsyncIterator[Finding]:
    """Yields findings, the most basic ones first. Leaves out checks that cannot work because of an earlier problem."""
    pool = await open_pool(subject.database_url, 2, command_timeout=SECONDS, read_only=True)
    try:
        for name, check, next_step in ON_DATABASE:
            findings = await safely(name, check(pool), next_step)
            for finding in findings:
                yield finding
            if name in BASIC and any(finding.verdict is Verdict.PROBLEM for finding in findings):
                break
        else:
            if subject.database_read_url:
                async for finding in check_replicas(pool, subject.database_read_url, subject.replica_seconds):
                    yield finding
        position = await _position(pool, subject.stream_name)
    finally:
        pool.terminate()
    for finding in await safely("stream", check_stream(subject, position), START_NATS):
        yield finding
    for finding in await safely("server", check_server(subject), START_SERVER):
        yield finding
    for name, file in subject.certificates.items():
        yield check_certificate(name, file, datetime.now(UTC))


async def check_database(pool: Pool) -> Sequence[Finding]:
    """Checks that PostgreSQL is writable and durable; every connection checks its version."""
    version = await pool.fetchval("SHOW server_version")
    readonly = await pool.fetchval("SELECT pg_is_in_recovery()")
    settings = {name: await pool.fetchval(f"SHOW {name}") for name in DURABILITY}
    if readonly:
        return [problem("database", f"PostgreSQL {version} is a standby", "name the primary in DATABASE_URL")]
    off = [name for name, value in settings.items() if value in ("off", "local")]
    if off:
        return [
            warning(
                "database",
                f"PostgreSQL {version}, {', '.join(off)} is off: a crash may lose what was acknowledged",
                f"set {', '.join(off)} to on",
            )
        ]
    if await pool.fetchval(WITHOUT_STANDBY):
        found = f"PostgreSQL {version} waits for a synchronous standby, and none is connected: changes wait"
        return [problem("database", found, "bring a standby back, see docs/how-to/operator/fail-over.md")]
    return [ok("database", f"PostgreSQL {version}")]


async def check_migrations(pool: Pool) -> Sequence[Finding]:
    """Checks that the schema is that of this program."""
    missing, unknown = await migration_state(pool)
    if missing:
        return [problem("migrations", f"missing: {', '.join(missing)}", "run `stockward migrate`")]
    if unknown:
        return [
            warning(
                "migrations",
                f"newer than this program: {', '.join(unknown)}",
                "upgrade this program: it works, but does not know what is new",
            )
        ]
    return [ok("migrations", "up to date")]


async def check_clock(pool: Pool) -> Sequence[Finding]:
    """Compares this machine's clock (tokens, signatures, logs) with the database's (expiry)."""
    before = datetime.now(UTC)
    now = await pool.fetchval("SELECT clock_timestamp()")
    after = datetime.now(UTC)
    seconds = max((before - now).total_seconds(), (now - after).total_seconds(), 0.0)
    if seconds > 30:
        return [problem("clock", f"{seconds:.0f} s away from the database's", "have both synchronised (NTP)")]
    if seconds > 1:
        return [warning("clock", f"{seconds:.1f} s away from the database's", "have both synchronised (NTP)")]
    return [ok("clock", "agrees with the database's")]


async def check_processes(pool: Pool) -> Sequence[Finding]:
    """Checks that a relay and a gateway run: each holds an advisory lock in PostgreSQL for as long as it runs."""
    held = {
        (row["classid"], row["objid"], row["objsubid"])
        for row in await pool.fetch(
            """
            SELECT classid::bigint, objid::bigint, objsubid FROM pg_locks
            WHERE locktype = 'advisory' AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """
        )
    }
    relay = (LOCK_CLASS, PRESENCE, 2) in held
    gateway = (0, FEED_LOCK, 1) in held
    needed = await pool.fetchval("SELECT EXISTS (SELECT FROM endpoints WHERE enabled)")
    return [
        ok("relay", "is there") if relay else problem("relay", "none is connected: events are not published", RELAY),
        ok("gateway", "reads the stream" if gateway else "none is there, and no endpoint is enabled")
        if gateway or not needed
        else problem("gateway", "none reads the stream: no webhook is sent", GATEWAY),
    ]


async def check_backlog(pool: Pool) -> Sequence[Finding]:
    """Checks whether relay, gateway and sweeper keep up, and for dead letters and failing endpoints."""
    found = await read_backlog(pool)
    return [
        _queue("outbox", found.outbox_pending, "events are not published", found.outbox_age, RELAY),
        _queue("deliveries", found.deliveries_pending, "webhooks are to be sent", found.deliveries_age, GATEWAY),
        _queue("sweeper", None, "the oldest hold or order to expire", found.sweeper_age, SWEEPER),
        _dead_letters(found),
        _set_aside(found),
        _lost(found),
        _endpoints(found),
    ]


RELAY = "see whether `stockward relay` runs and reaches NATS: its log says why not"
GATEWAY = "see whether `stockward gateway` runs; `stockward webhooks list` shows who fails"
SWEEPER = "see whether `stockward serve` runs and its log says `sweep failed`"
LATE, TOO_LATE = 10.0, 60.0
"""Delays in seconds after which a queue gets a warning, and after which it is a problem."""

BEHIND = 1000
"""Messages by which the feed of webhooks may lag behind the stream."""


def _queue(check: str, pending: int | None, what: str, age: float, next_step: str) -> Finding:
    found = what if pending is None else f"{pending} {what}"
    if age > LATE:
        verdict = Verdict.PROBLEM if age > TOO_LATE else Verdict.WARNING
        return Finding(check, verdict, f"{found}, due for {timedelta(seconds=round(age))}", next_step)
    return ok(check, found if pending else "nothing is late")


def _dead_letters(found: Backlog) -> Finding:
    if found.dead:
        return warning(
            "dead letters",
            f"{found.dead} deliveries are dead letters",
            "`stockward deliveries list --state dead` shows them, `stockward deliveries recover` sends them again",
        )
    return ok("dead letters", "none")


def _set_aside(found: Backlog) -> Finding:
    if found.set_aside:
        return warning(
            "messages",
            f"{found.set_aside} messages of the stream are no events of ours, and were set aside",
            "the table set_aside_messages says which and why: find out who sends them, then delete its rows",
        )
    return ok("messages", "all of the stream are events")


def _lost(found: Backlog) -> Finding:
    if found.lost:
        return problem("lost events", f"{found.lost} events were published, and the record lacks them", RECONCILE)
    if found.unsettled_epochs:
        numbers = ", ".join(map(str, found.unsettled_epochs))
        return warning(
            "lost events",
            f"the record was restored or failed over (epoch {numbers}): what was lost is not settled",
            RECONCILE,
        )
    return ok("lost events", "none that is not settled")


def _endpoints(found: Backlog) -> Finding:
    if found.disabled:
        return warning(
            "endpoints",
            f"disabled: {', '.join(found.disabled)}",
            "`stockward webhooks show ENDPOINT` says why, `stockward webhooks enable ENDPOINT` starts it again",
        )
    if found.failing:
        return warning(
            "endpoints",
            f"failing: {', '.join(found.failing)}",
            "`stockward webhooks show ENDPOINT` says what they answer; `webhooks enable` tells that one is mended",
        )
    return ok("endpoints", "all enabled ones take what they are sent")


async def check_audit(pool: Pool) -> Sequence[Finding]:
    """Compares the stock that moved last with the ledger, until SECONDS - 1: a SKU may have a million movements."""
    checked, wrong, whole = 0, list[Discrepancy](), False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS - 1):
            async for count, differing in audit_recent(pool):
                checked += count
                wrong += differing
            whole = True
    if wrong:
        skus = ", ".join(sorted({each.sku for each in wrong}))
        return [problem("audit", f"counters are wrong: {skus}", "`stockward audit` shows by how much")]
    if not whole:
        found = f"{checked} stock rows agree with the ledger, more were not read within {SECONDS - 1:g} s"
        return [warning("audit", found, "run `stockward audit`, which takes the time that it needs")]
    return [ok("audit", f"{checked} stock rows that moved last agree with the ledger")]


async def check_stream(subject: Subject, position: int | None = None) -> Sequence[Finding]:
    """Checks NATS: its max_payload, the configuration of the stream, and the lag of the feed of webhooks. `position` is
    the stream sequence of the last message that was fanned out, None where it is not known."""
    check = "stream"
    async with open_nats(subject.nats_url, "stockward doctor", lambda reason: None) as client:
        with nats_errors("JetStream does not answer"):
            stream = client.jetstream(prefix=subject.nats_api, timeout=STREAM_SECONDS)
            try:
                info = await stream.stream_info(subject.stream_name)
            except nats.errors.TimeoutError:
                return [warning(check, "NATS is there, and does not say how the stream is", ASK_AS_RELAY)]
            except nats.js.errors.NotFoundError:
                return [problem(check, f"there is no stream {subject.stream_name}", "start `stockward relay`")]
            newest = await newest_events(stream, info)
        findings = [_stream(subject, info, client), *_replicas(info, len(client.servers))]
    feed = [] if position is None else [_feed(info.state.last_seq - position)]
    return [*findings, *feed, *await _record(subject, newest)]


def _stream(subject: Subject, info: StreamInfo, client: Client) -> Finding:
    check, max_payload = "stream", client.max_payload
    wrong = differences(client, info.config, subject.stream_age, subject.stream_replicas)
    if wrong:
        return warning(check, f"{subject.stream_name} differs: {', '.join(wrong)}", "restart `stockward relay`")
    if max_payload < LARGEST_MESSAGE:
        found = f"NATS takes messages of {max_payload} bytes, and the largest order makes one of {LARGEST_MESSAGE}"
        return warning(check, found, "set max_payload of NATS to 8MB")
    found = f"{subject.stream_name} has {info.state.messages} messages in {info.config.num_replicas} replicas"
    return ok(check, found)


def _replicas(info: StreamInfo, servers: int) -> Sequence[Finding]:
    """Checks that a cluster of `servers` keeps the stream more than once, and that every replica has all of it."""
    check = "replicas"
    if servers < 2 or info.cluster is None:
        return []
    replicas = info.cluster.replicas or []
    behind = [each.name or "" for each in replicas if each.offline or not each.current]
    if behind:
        found = f"{', '.join(behind)} does not have all of the stream: without one more, events wait"
        return [warning(check, found, START_REPLICA)]
    if servers >= 3 and info.config.num_replicas == 1:
        found = f"one of {servers} servers alone keeps the stream: without it nothing is published, and it may be lost"
        return [warning(check, found, "set STOCKWARD_STREAM_REPLICAS=3 and restart `stockward relay`")]
    return [ok(check, f"{len(replicas) + 1} servers have all of the stream")]


async def _record(subject: Subject, newest: Sequence[tuple[int, UUID]] | None) -> Sequence[Finding]:
    """Checks that the record has the newest events of the stream. Returns no finding if the NATS user may not read."""
    if newest is None:
        return []
    pool = await open_pool(subject.database_url, 1, command_timeout=SECONDS, read_only=True)
    try:
        unknown = await unknown_events(pool, newest)
    except Exception as error:
        if not is_database_down(error):
            raise
        return []  # check_database reports it
    finally:
        pool.terminate()
    if unknown:
        found = (
            f"{unknown} of the last {len(newest)} events of the stream are not in it: it was restored or failed over"
        )
        return [problem("record", found, RECONCILE)]
    return [ok("record", f"has the last {len(newest)} events of the stream")]


def _feed(lag: int) -> Finding:
    if lag > BEHIND:
        return warning("feed", f"{lag} messages of the stream are not yet made into deliveries", GATEWAY)
    return ok("feed", "has read the stream")


async def _position(pool: Pool, stream: str) -> int | None:
    """Returns the stream sequence up to which the feed of webhooks has read; None where it is not known."""
    try:
        return cast(int | None, await pool.fetchval("SELECT stream_seq FROM webhook_feed WHERE stream = $1", stream))
    except Exception:  # reported by another check
        return None


async def check_server(subject: Subject) -> Sequence[Finding]:
    """Checks the gRPC server by grpc.health.v1."""
    address = subject.grpc_address
    async with subject.channel_to(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS - 1)
        except grpc.aio.AioRpcError as error:
            return [warning("server", f"no server answers at {address} ({error.code().name})", START_SERVER)]
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return [ok("server", f"serves at {address}")]
    return [problem("server", f"{address} answers and is not ready", "its database is away, or it is stopping")]


def check_certificate(name: str, file: Path, now: datetime) -> Finding:
    """Checks when the first certificate of a PEM file expires."""
    check = f"certificate {name}"
    try:
        end = expiry_of(file)
    except (OSError, ValueError):
        return problem(check, f"{file} cannot be read", f"{name} has to name a certificate in PEM")
    days = (end - now).days
    if end <= now:
        return problem(check, f"{file} expired on {end:%Y-%m-%d}", "put a new one in its place")
    if days < 21:
        return warning(check, f"{file} expires on {end:%Y-%m-%d}, in {days} days", "put a new one in its place")
    return ok(check, f"good until {end:%Y-%m-%d}")


START_NATS = "start NATS with JetStream, or mend EVENT_QUEUE_URL; events wait meanwhile"
START_REPLICA = "start that server of NATS, with an empty store if need be, and wait: the others fill it"
ASK_AS_RELAY = (
    "see whether JetStream runs; a server's user may not ask for it, those of relay, gateway and subscribers may"
)
RECONCILE = (
    "subscribers received what never happened: `stockward events reconcile` lists it, with `--settle` it is settled; "
    "docs/how-to/operator/lost-events.md says what to do"
)
START_SERVER = "start `stockward serve`, or say where it runs: STOCKWARD_GRPC_ADDRESS, for TLS STOCKWARD_SERVER_CA"
START_POSTGRESQL = "start PostgreSQL, or mend DATABASE_URL (`stockward config` shows it)"
SEE_DATABASE = "see whether the database is well"

ON_DATABASE: Sequence[tuple[str, Callable[[Pool], Awaitable[Sequence[Finding]]], str]] = (
    ("database", check_database, START_POSTGRESQL),
    ("clock", check_clock, SEE_DATABASE),
    ("migrations", check_migrations, SEE_DATABASE),
    ("processes", check_processes, SEE_DATABASE),
    ("queues", check_backlog, SEE_DATABASE),
    ("audit", check_audit, SEE_DATABASE),
)
"""Checks on the database: name, function, and the next step when the check itself fails."""

BASIC = ("database", "migrations")
"""Checks on whose success the following checks depend."""


async def safely(name: str, check: Awaitable[Sequence[Finding]], next_step: str) -> Sequence[Finding]:
    """Returns the findings of a check, or a problem where it failed or took longer than SECONDS."""
    try:
        async with asyncio.timeout(SECONDS):
            return await check
    except Exception as error:
        return [problem(name, _reason(error), next_step)]


def _reason(error: Exception) -> str:
    """Returns the error in one line, without text in which a driver may quote a URL."""
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:g} s"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror}"
    if isinstance(error, asyncpg.PostgresError | Unavailable | PostgresTooOld):
        return str(error).splitlines()[0]
    return f"cannot be reached: {type(error).__name__}"
