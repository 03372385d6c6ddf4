"""Composes the gRPC server with its committer and its periodic tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from stockward_server.api.catalog.servicer import CatalogServicer
from stockward_server.api.events.encoder import encode_event
from stockward_server.api.events.servicer import EventServicer
from stockward_server.api.incoming_webhooks.servicer import IncomingWebhookServicer, WebhookSecrets
from stockward_server.api.inventory.servicer import InventoryServicer
from stockward_server.api.keys.servicer import KeyServicer
from stockward_server.api.orders.servicer import OrderServicer
from stockward_server.api.server import ApiServer, Limits, Servicers
from stockward_server.api.sessions.servicer import SessionServicer
from stockward_server.api.status.servicer import StatusServicer
from stockward_server.api.watching import WATCH_ENCODER
from stockward_server.api.webhooks.servicer import WebhookServicer
from stockward_server.application.catalog import Catalog
from stockward_server.application.context import Role
from stockward_server.application.follower import Follower
from stockward_server.application.ports.stock import Discrepancy
from stockward_server.application.postponed import Postponed
from stockward_server.application.stock_commands import HoldPolicy
from stockward_server.application.storefront_cache import StorefrontCache
from stockward_server.application.sweeper import sweep
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.application.watches import Watches, WatchLimits
from stockward_server.auth.token_keys import TokenKeys, from_file, from_url
from stockward_server.auth.tokens import TokenRules, Tokens
from stockward_server.bootstrap.tracing import tracing
from stockward_server.bootstrap.transport import certificates_of
from stockward_server.bootstrap.webhook_secrets import warn_of_shared_secret
from stockward_server.config import Environment, Settings, variable
from stockward_server.domain.errors import Refusal
from stockward_server.domain.hold_limits import HoldLimits
from stockward_server.domain.unpaid_limits import UnpaidLimits
from stockward_server.observability import families
from stockward_server.observability.exposition import Exposition, Families
from stockward_server.observability.monitor import watching
from stockward_server.observability.status import status_reader
from stockward_server.relay.wake import Waker
from stockward_server.runtime import garbage
from stockward_server.runtime.admin_port import listening
from stockward_server.runtime.supervision import end, raise_if_cancelled
from stockward_server.storage import api_key_cache, database
from stockward_server.storage.catalog import SqlCatalog
from stockward_server.storage.cluster import Cluster
from stockward_server.storage.due_work import SqlDueWork
from stockward_server.storage.events.event_log import SqlEventLog
from stockward_server.storage.keys import SqlKeys
from stockward_server.storage.locations import SqlLocations
from stockward_server.storage.read.order_views import SqlOrderViews
from stockward_server.storage.read.product_cache import ProductCache, kibibytes
from stockward_server.storage.read.replicas import ReplicaReads, opened_replicas
from stockward_server.storage.read.short_audit import AuditMetrics, audit_recent
from stockward_server.storage.read.stock_views import SqlStockViews
from stockward_server.storage.seal_key import read_seal_key
from stockward_server.storage.sessions import SqlSessions
from stockward_server.storage.webhooks.deliveries import SqlDeliveries
from stockward_server.storage.webhooks.endpoints import SqlEndpoints
from stockward_server.storage.webhooks.replay import SqlReplay
from stockward_server.storage.write.committer import Committer
from stockward_server.storage.write.committer_metrics import CommitterMetrics
from stockward_server.storage.write.lanes import Lanes
from stockward_server.storage.write.mutation import Mutations
from stockward_server.storage.write.order_refresh import refresh_orders
from stockward_server.storage.write.rehearsal import Rehearsals
from stockward_server.storage.write.retention import (
    delete_ended_sessions,
    delete_expired_contacts,
    delete_expired_idempotency,
    delete_expired_messages,
    delete_expired_secrets,
    delete_finished_deliveries,
    delete_orphaned_deliveries,
    drop_expired_events,
    drop_expired_movements,
)
from stockward_server.storage.write.search_refresh import refresh_search
from stockward_server.wire.seal import Seals

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 3600.0
"""Seconds between two runs of retention and of the short audit."""

SEARCH_SECONDS = 60.0
"""Seconds between two refreshes of search columns that a server of an earlier release did not write, and between two
sums of the counts of orders."""

UPKEEP_DELAY_SECONDS = 5.0
"""Seconds from the start to the first upkeep of the database: a server that starts answers its callers first."""

TLS_SECONDS = 1.0
"""Seconds between two reads of the TLS files."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running server and its parts, for tests and benchmarks."""

    port: int
    """Port of gRPC."""
    pool: database.Pool
    committer: Lanes
    exposition: Exposition
    """Readiness and metrics."""


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the gRPC server until `stop` is set, then drains it. Raises SettingsError."""
    async with running_server(settings, settings.server_admin_address) as server:
        garbage.collect_seldom()
        log.info("serving gRPC on port %d", server.port)
        await stop.wait()
        log.info("draining")


@asynccontextmanager
async def running_server(settings: Settings, admin_address: str | None = None) -> AsyncIterator[Running]:
    """Runs a server within the block. Leaving drains it: calls first, then commits, then connections.

    `admin_address` (HOST:PORT) serves health and metrics until the drain has ended.
    """
    async with AsyncExitStack() as stack:
        yield await _start(settings, admin_address, stack)


async def _start(settings: Settings, admin_address: str | None, stack: AsyncExitStack) -> Running:
    """Starts all parts and pushes the end of each onto `stack`."""
    certificates = certificates_of(settings)
    warn_of_shared_secret(
        settings,
        [
            f"{name}_incoming_webhook_secret"
            for name in settings.incoming_secrets
            if not settings.incoming_secrets[name]
        ],
    )
    tracer = await stack.enter_async_context(tracing(settings, "server"))
    cluster = Cluster(settings.database_url.get_secret_value())
    pool = await stack.enter_async_context(database.opened_pool(cluster, settings.pool_size))
    replicas: ReplicaReads | None = None
    if settings.database_read_url:
        replicas = await stack.enter_async_context(
            opened_replicas(
                settings.database_read_url.get_secret_value(),
                cluster,
                pool,
                settings.pool_size,
                settings.replica_max_lag_seconds,
            )
        )
    views = SqlStockViews(pool)
    events = SqlEventLog(pool)
    follower = Follower(
        events,
        views.availability,
        WATCH_ENCODER,
        poll_seconds=settings.outbox_poll_seconds,
        refresh_seconds=settings.watch_heartbeat_seconds,
    )
    watches = Watches(
        events,
        follower,
        WATCH_ENCODER,
        WatchLimits(
            settings.max_watches,
            settings.watch_queue_limit,
            settings.watch_heartbeat_seconds,
            settings.max_watched_keys,
        ),
    )
    waker = Waker(settings.event_queue_url.get_secret_value(), follower.wake)
    stack.push_async_callback(waker.close)

    def on_commit(state: UnitOfWork) -> None:
        """Invalidates caches and wakes watches after each commit of this process, before its calls return."""
        storefront_cache.invalidate(state)
        if state.edited_products:
            follower.refresh_skus(variant.sku for product in state.edited_products for variant in product.variants)
        if state.events:
            waker.wake()
            follower.wake()

    def on_location_commit(_: UnitOfWork) -> None:
        storefront_cache.invalidate_all_stock()
        follower.refresh()

    def lane(metrics: CommitterMetrics, limit: int, long: bool) -> Committer:
        return Committer(
            pool,
            encode_event,
            queue_limit=limit,
            batch_limit=settings.committer_batch_limit,
            on_commit=on_commit,
            slow_seconds=settings.slow_batch_seconds,
            metrics=metrics,
            long=long,
            trace=tracer.note_batch if tracer else None,
        )

    committer = Lanes(pool, lane, settings.committer_queue_limit)
    stack.push_async_callback(committer.close)
    product_cache = ProductCache(pool)
    storefront_cache = StorefrontCache(
        product_cache.by_id, views.availability, settings.cache_seconds, lambda p: 1024 * kibibytes(p)
    )
    mutations = Mutations(pool, encode_event, on_commit)
    catalog = Catalog(SqlCatalog(pool, mutations, product_cache, replicas))
    locations = Mutations(pool, encode_event, on_location_commit)
    seals = Seals(lambda: read_seal_key(pool))
    catalog_servicer = CatalogServicer(catalog, storefront_cache, seals)
    inventory_servicer = InventoryServicer(
        committer.submit,
        Rehearsals(pool),
        views,
        SqlStockViews(pool, replicas),
        storefront_cache,
        SqlLocations(locations),
        HoldPolicy(
            timedelta(seconds=settings.reservation_ttl_seconds),
            timedelta(seconds=settings.reservation_max_lifetime_seconds),
            HoldLimits(settings.hold_limit, settings.hold_unit_limit, settings.hold_limit_per_key),
        ),
        watches,
        seals,
    )
    order_views = SqlOrderViews(pool)
    order_servicer = OrderServicer(
        committer.submit,
        order_views,
        SqlOrderViews(pool, replicas),
        timedelta(seconds=settings.payment_due_seconds),
        UnpaidLimits(settings.unpaid_order_limit, settings.unpaid_unit_limit, settings.unpaid_order_limit_per_key),
        watches,
        seals,
        unique_references=settings.unique_references,
    )
    key_mutations = Mutations(pool, encode_event)
    keys = api_key_cache.ApiKeyCache(pool)
    token_keys = _token_keys(settings)
    server = ApiServer(
        Servicers(
            catalog_servicer,
            inventory_servicer,
            order_servicer,
            EventServicer(events, watches, seals),
            IncomingWebhookServicer(
                catalog_servicer,
                inventory_servicer,
                order_servicer,
                order_views,
                WebhookSecrets(
                    settings.incoming_secrets, settings.stripe_webhook_secrets, settings.shared_webhook_secrets
                ),
            ),
            WebhookServicer(
                SqlEndpoints(pool, mutations),
                SqlDeliveries(pool, mutations),
                SqlReplay(mutations),
                seals,
                require_https=settings.environment is Environment.PRODUCTION,
            ),
            KeyServicer(SqlKeys(pool, key_mutations), seals),
            SessionServicer(SqlSessions(key_mutations)),
            StatusServicer(status_reader(pool)),
        ),
        keys.authenticate,
        database.refusal_of,
        Limits(
            settings.max_message_bytes,
            settings.max_concurrent_rpcs + settings.max_watches,
            settings.max_connections,
            settings.max_connection_age_seconds,
            settings.max_connection_idle_seconds,
            settings.calls_per_second,
            settings.rate_burst_seconds,
            settings.max_streams_per_caller,
            settings.max_streams_per_customer,
            settings.max_unread_bytes,
        ),
        authenticate_token=Tokens(token_keys, _token_rules(settings)).authenticate if token_keys else None,
        share_port=settings.share_port,
        logged_calls=settings.log_calls,
        tracer=tracer,
        credentials=certificates.credentials() if certificates else None,
        reflect=settings.reflects,
    )
    due, postponed = SqlDueWork(pool), Postponed()
    audits = AuditMetrics()
    measured: list[Families] = [
        lambda: families.calls(server.calls),
        lambda: families.committing(committer, settings.committer_queue_limit),
        lambda: families.caches(storefront_cache.reads),
        lambda: families.pool("stockward", database.use_of(pool)),
        lambda: families.certificates(
            settings.certificates, {variable("tls_cert"): certificates.expiry} if certificates else {}
        ),
        lambda: [families.nats_connected(waker.connected)],
    ]
    periodic = [
        (settings.sweep_interval_seconds, "sweep", lambda: sweep(due, committer.submit, postponed)),
        (settings.sweep_interval_seconds, "scheduled publishing", catalog.publish_due),
        (api_key_cache.USES_SECONDS, "recording uses of keys", keys.record_uses),
    ]
    upkeep = [
        (SEARCH_SECONDS, "bringing searches up to date", lambda: refresh_search(pool)),
        (SEARCH_SECONDS, "bringing lists of orders up to date", lambda: refresh_orders(pool)),
        (HOUSEKEEPING_SECONDS, "housekeeping", lambda: _keep_house(pool, settings)),
    ]
    if settings.worker == 1:
        measured.append(lambda: families.auditing(audits))
        upkeep.append((HOUSEKEEPING_SECONDS, "the short audit", lambda: _audit(pool, audits)))
    if replicas:
        measured.append(lambda: families.replicas(replicas))
    if token_keys:
        periodic.append((settings.jwks_refresh_seconds, "reading the token issuer's keys", token_keys.refresh))
    if certificates:
        periodic.append((TLS_SECONDS, "reading the TLS files", certificates.reload))
    port = await server.start(settings.grpc_address)
    stack.push_async_callback(server.stop, 0)
    tasks = [
        *(asyncio.create_task(_every(*each), name=each[1]) for each in periodic),
        *(asyncio.create_task(_later(*each), name=each[1]) for each in upkeep),
    ]
    stack.push_async_callback(end, *tasks)
    exposition = await stack.enter_async_context(watching(cluster, measured, server.set_serving))
    await stack.enter_async_context(listening(admin_address, exposition.routes()))

    @stack.push_async_callback
    async def drain() -> None:
        exposition.readiness.stopping = True
        await server.give_notice(settings.shutdown_notice)
        await follower.close()
        await asyncio.gather(server.stop(settings.shutdown_grace_seconds), end(*tasks))

    return Running(port, pool, committer, exposition)


def _token_keys(settings: Settings) -> TokenKeys | None:
    """Returns the keys of the token issuer; None where tokens are not accepted."""
    if settings.jwks_url:
        source = from_url(settings.jwks_url)
    elif settings.jwks_file:
        source = from_file(settings.jwks_file)
    else:
        return None
    return TokenKeys(source, settings.token_algorithms, settings.jwks_refetch_seconds)


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        issuer=settings.jwt_issuer or "",  # Settings require both where tokens are accepted
        audience=settings.jwt_audience or "",
        algorithms=settings.token_algorithms,
        role_claim=settings.jwt_role_claim,
        roles={theirs: Role[ours.upper()] for theirs, ours in settings.token_roles.items()},
        leeway_seconds=settings.jwt_leeway_seconds,
        customer_claim=settings.jwt_customer_claim,
    )


async def _keep_house(pool: database.Pool, settings: Settings) -> None:
    """Creates the next partitions, and deletes rows that are past their retention. Failures are logged."""
    try:
        async with pool.acquire() as connection:
            for each in (database.EVENTS, database.MOVEMENTS):
                await database.ensure_partitions(connection, each)
    except asyncpg.LockNotAvailableError:
        log.info("a table is in use, room for the days to come is made later")
    days = settings.event_retention_days
    steps: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("events", lambda: drop_expired_events(pool, days)),
        ("stored answers", lambda: delete_expired_idempotency(pool, settings.idempotency_retention_days)),
        ("deliveries", lambda: delete_finished_deliveries(pool, days)),
        ("deliveries of deleted endpoints", lambda: delete_orphaned_deliveries(pool)),
        ("sessions", lambda: delete_ended_sessions(pool)),
        ("secrets", lambda: delete_expired_secrets(pool)),
        ("messages set aside", lambda: delete_expired_messages(pool, days)),
    ]
    if months := settings.movement_retention_days:
        steps.append(("movements", lambda: drop_expired_movements(pool, months)))
    if (contacts := settings.contact_retention_days) is not None:
        steps.append(("contacts", lambda: delete_expired_contacts(pool, contacts)))
    for name, step in steps:
        try:
            await step()
        except Exception as error:  # one failure must not prevent the other steps
            expected = database.refusal_of(error)
            log.warning("housekeeping of %s failed: %r", name, error, exc_info=None if expected else error)


async def _audit(pool: database.Pool, metrics: AuditMetrics) -> None:
    """Audits the stock that moved last, logs discrepancies and counts them in `metrics`."""
    checked, found = 0, list[Discrepancy]()
    async for count, differing in audit_recent(pool):
        checked += count
        found += differing
    metrics.add(checked, len(found))
    for each in found:
        log.error("%s at %s: %s is %d", each.sku, each.location_id, each.counter, each.counted)


async def _later(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Does as `_every`, once the server has been up for UPKEEP_DELAY_SECONDS."""
    await asyncio.sleep(UPKEEP_DELAY_SECONDS)
    await _every(seconds, name, work)


async def _every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Runs `work` until it is cancelled, with a pause of `seconds` after each run; failures are logged."""
    while True:
        try:
            await work()
        except Exception as error:
            expected = isinstance(error, Refusal) or database.refusal_of(error)
            log.warning("%s failed: %r", name, error, exc_info=None if expected else error)
        raise_if_cancelled()  # a connection that fails at the same moment can lose the cancellation
        await asyncio.sleep(seconds)
