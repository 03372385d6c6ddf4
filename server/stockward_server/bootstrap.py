"""The composition root: the only place where settings, adapters and use cases meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from stockward_server import edge
from stockward_server import gateway as webhook_gateway
from stockward_server import relay as event_relay
from stockward_server.admin_port import listening
from stockward_server.application.catalog import Catalog
from stockward_server.application.follower import Follower
from stockward_server.application.keys import Keys
from stockward_server.application.locked_state import LockedState
from stockward_server.application.request import Role
from stockward_server.application.shop_window import ShopWindow
from stockward_server.application.stock_commands import HoldPolicy
from stockward_server.application.sweeper import sweep
from stockward_server.application.watches import Watches, WatchLimits
from stockward_server.config import Environment, Plaintext, Settings, SettingsError, is_loopback, variable
from stockward_server.domain.errors import Refusal
from stockward_server.domain.hold_limits import HoldLimits
from stockward_server.gateway import LOOPBACK, Egress, GatewayTally, Patience
from stockward_server.grpc_api.call_log import LoggedCalls
from stockward_server.grpc_api.catalog_service import CatalogServicer
from stockward_server.grpc_api.certificates import CertificateError, CertificateFiles, ServerCertificates
from stockward_server.grpc_api.event_encoder import encode_event
from stockward_server.grpc_api.event_service import EventServicer
from stockward_server.grpc_api.incoming_webhooks import IncomingWebhookServicer, WebhookSecrets
from stockward_server.grpc_api.inventory_service import InventoryServicer
from stockward_server.grpc_api.key_service import KeyServicer
from stockward_server.grpc_api.key_set import KeySet, from_file, from_url
from stockward_server.grpc_api.order_service import OrderServicer
from stockward_server.grpc_api.personal_data import answer_without, event_without
from stockward_server.grpc_api.rate_limits import MethodKind
from stockward_server.grpc_api.server import ApiServer, Limits, Servicers
from stockward_server.grpc_api.tokens import TokenRules, Tokens
from stockward_server.grpc_api.watching import WATCH_ENCODER
from stockward_server.grpc_api.webhook_service import WebhookServicer
from stockward_server.observability import families
from stockward_server.observability.exposition import Exposition, Families
from stockward_server.observability.watch import watching
from stockward_server.relay import RelayTally
from stockward_server.relay.wake import Waker
from stockward_server.storage import api_keys, database
from stockward_server.storage.catalog import SqlCatalog
from stockward_server.storage.committer import Committer
from stockward_server.storage.customers import SqlCustomers
from stockward_server.storage.deliveries import SqlDeliveries
from stockward_server.storage.due_work import SqlDueWork
from stockward_server.storage.event_log import SqlEventLog
from stockward_server.storage.keys import SqlKeys
from stockward_server.storage.locations import SqlLocations
from stockward_server.storage.mutation import Mutations
from stockward_server.storage.order_views import SqlOrderViews
from stockward_server.storage.replay import SqlReplay
from stockward_server.storage.retention import (
    delete_expired_contacts,
    delete_expired_idempotency,
    delete_expired_secrets,
    delete_finished_deliveries,
    delete_orphaned_deliveries,
    drop_expired_partitions,
)
from stockward_server.storage.short_audit import AuditTally, audit_recent
from stockward_server.storage.stock_views import SqlStockViews
from stockward_server.storage.webhook_endpoints import SqlEndpoints

if TYPE_CHECKING:  # an extra
    from stockward_server.observability.tracing import Tracing

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 3600.0

TLS_SECONDS = 1.0
"""How often the TLS files are looked at."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers, for those who started it."""

    port: int
    pool: database.Pool
    committer: Committer
    exposition: Exposition
    """What it tells of itself."""


async def migrate(settings: Settings) -> list[str]:
    """Brings the database up to date; answers the names of the migrations that were applied."""
    return await database.migrate(settings.database_url.get_secret_value())


async def ensure_key(settings: Settings, name: str, role: str, key: str) -> None:
    """Makes a known key valid for `role` (`storefront`, `pms` or `admin`)."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=10.0)
    try:
        await api_keys.ensure_key(connection, name, Role[role.upper()], key)
    finally:
        await connection.close()


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The API keys in the database, for whoever may open that."""
    pool = await database.open_pool(settings.database_url.get_secret_value(), 1)
    try:
        yield SqlKeys(pool, Mutations(pool, encode_event))
    finally:
        await pool.close()


@asynccontextmanager
async def opened_customers(settings: Settings) -> AsyncIterator[SqlCustomers]:
    """What is stored about customers, for whoever may open the database."""
    pool = await database.open_pool(settings.database_url.get_secret_value(), 2, command_timeout=600.0)
    try:
        yield SqlCustomers(pool, event_without, answer_without)
    finally:
        await pool.close()


def check_transport(settings: Settings) -> None:
    """SettingsError where the server may not listen as it is told, or its TLS files cannot be used."""
    _certificates(settings)


def check_edge(settings: Settings) -> None:
    """The same for the edge."""
    settings.refuse_plaintext("edge_address", "edge_tls_cert")
    with _told_by_variable("edge_tls_"):
        if settings.edge_tls_cert and settings.edge_tls_key:
            CertificateFiles(settings.edge_tls_cert, settings.edge_tls_key, settings.edge_tls_client_ca).read()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the gRPC server until `stop` is set, then drains it."""
    async with running_server(settings, settings.server_admin_address) as server:
        log.info("serving gRPC on port %d", server.port)
        await stop.wait()
        log.info("draining")


async def relay(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the relay until `stop` is set."""
    dsn, tally = settings.database_url.get_secret_value(), RelayTally()
    tracing = _tracing(settings, "relay")
    told: Sequence[Families] = (
        lambda: families.relaying(tally, settings.stream_name),
        lambda: families.certificates(settings.certificates),
    )
    async with (
        watching(dsn, told) as exposition,
        listening(settings.relay_admin_address, exposition.routes()),
    ):
        await event_relay.run(
            dsn,
            settings.event_queue_url.get_secret_value(),
            settings.stream_name,
            max_age=timedelta(days=settings.event_retention_days),
            poll_seconds=settings.outbox_poll_seconds,
            stop=stop,
            tally=tally,
            tracer=tracing,
        )
    await _end(tracing)


async def gateway(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the webhook gateway until `stop` is set."""
    production = settings.environment is Environment.PRODUCTION
    urls = {"storefront": settings.storefront_webhook_url, "pms": settings.pms_webhook_url}
    patience = Patience(timedelta(days=settings.webhook_warn_days), timedelta(days=settings.webhook_disable_days))
    dsn, tally = settings.database_url.get_secret_value(), GatewayTally()
    tracing = _tracing(settings, "gateway")
    told: Sequence[Families] = (
        lambda: families.delivering(tally, settings.stream_name),
        lambda: families.certificates(settings.certificates),
    )
    async with watching(dsn, told) as exposition:
        await webhook_gateway.run(
            dsn,
            settings.event_queue_url.get_secret_value(),
            settings.stream_name,
            address=settings.gateway_address,
            urls={name: url.get_secret_value() for name, url in urls.items() if url},
            secret=next(iter(settings.webhook_secrets), None),
            encode_event=encode_event,
            egress=Egress.of(
                [*settings.webhook_allowed_networks, *(() if production else LOOPBACK)], require_https=production
            ),
            public_url=settings.public_url or "",
            stop=stop,
            grace_seconds=settings.shutdown_grace_seconds,
            timeout_seconds=settings.webhook_timeout_seconds,
            patience=patience,
            tally=tally,
            tracer=tracing,
            routes=exposition.routes(),
        )
    await _end(tracing)


def edge_files(
    settings: Settings,
    upstreams: Sequence[str] = (),
    origins: Sequence[str] = ("*",),
    directory: Path = Path(),
) -> Mapping[str, Any]:
    """Envoy's files for `directory`, by name: `envoy.json` for one at `edge_address`, before `upstreams` (HOST:PORT
    each) or the server of the settings; and its secrets, where there is TLS. SettingsError where TLS is lacking."""
    upstreams = upstreams or [settings.grpc_address]
    tls = _edge_tls(settings, upstreams, directory)
    configuration = edge.envoy_config(
        edge.installed_contract(),
        settings.edge_address,
        upstreams,
        pages=edge.pages(),
        origins=origins,
        limits=edge.Limits(body_bytes=settings.max_message_bytes),
        tls=tls,
    )
    return {"envoy.json": configuration, **edge.secret_files(tls)}


def _edge_tls(settings: Settings, upstreams: Sequence[str], directory: Path) -> edge.EdgeTls:
    settings.refuse_plaintext("edge_address", "edge_tls_cert")
    for field, needed_by in (("server_ca", "tls_cert"), ("client_cert", "tls_client_ca")):
        if getattr(settings, needed_by) and not getattr(settings, field):
            raise SettingsError([f"{variable(field)}: required for the edge where {variable(needed_by)} is set"])
    if not settings.server_ca and settings.plaintext is not Plaintext.ANYWHERE:
        for each in upstreams:
            if not is_loopback(each):
                raise SettingsError(
                    [
                        f"STOCKWARD_SERVER_CA: required for TLS to the server {each}, which is on another machine; or "
                        "set STOCKWARD_PLAINTEXT=anywhere"
                    ]
                )

    def files(*fields: str) -> edge.TlsFiles:
        paths: list[Path | None] = [getattr(settings, field) for field in fields]
        return edge.TlsFiles(*(path.absolute() if path else None for path in paths))

    return edge.EdgeTls(
        callers=files("edge_tls_cert", "edge_tls_key", "edge_tls_client_ca") if settings.edge_tls_cert else None,
        servers=files("client_cert", "client_key", "server_ca") if settings.server_ca else None,
        directory=directory.absolute(),
    )


@asynccontextmanager
async def running_server(settings: Settings, admin_address: str | None = None) -> AsyncIterator[Running]:
    """A server with its committer and its clockwork. Leaving drains it: calls first, then commits, then connections.

    `admin_address` (HOST:PORT) tells how it does, to the end of the drain.
    """
    certificates = _certificates(settings)
    tracing = _tracing(settings, "server")
    pool = await database.open_pool(settings.database_url.get_secret_value(), settings.pool_size)
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
        WatchLimits(settings.max_watches, settings.watch_queue_limit, settings.watch_heartbeat_seconds),
    )
    waker = Waker(settings.event_queue_url.get_secret_value(), follower.wake)

    def heard(state: LockedState) -> None:
        """Every commit of this process, before its callers are answered."""
        window.forget(state)
        if state.events:
            waker.wake()
            follower.wake()

    def heard_of_location(_: LockedState) -> None:
        window.forget_all_stock()
        follower.refresh()

    committer = Committer(
        pool,
        encode_event,
        queue_limit=settings.committer_queue_limit,
        batch_limit=settings.committer_batch_limit,
        on_commit=heard,
        slow_seconds=settings.slow_batch_seconds,
        trace=tracing.note_batch if tracing else None,
    )
    store = SqlCatalog(pool, encode_event, heard)
    window = ShopWindow(store.products_by_id, views.availability, settings.cache_seconds)
    catalog = Catalog(store)
    locations = Mutations(pool, encode_event, heard_of_location)
    webhooks = Mutations(pool, encode_event, heard)
    catalog_servicer = CatalogServicer(catalog, window)
    inventory_servicer = InventoryServicer(
        committer.submit,
        views,
        window,
        SqlLocations(locations),
        HoldPolicy(
            timedelta(seconds=settings.reservation_ttl_seconds),
            timedelta(seconds=settings.reservation_max_lifetime_seconds),
            HoldLimits(settings.hold_limit, settings.hold_unit_limit, settings.hold_limit_per_key),
        ),
        watches,
    )
    order_servicer = OrderServicer(
        committer.submit, SqlOrderViews(pool), timedelta(seconds=settings.payment_due_seconds), watches
    )
    keys = api_keys.ApiKeys(pool)
    token_keys = _token_keys(settings)
    server = ApiServer(
        Servicers(
            catalog_servicer,
            inventory_servicer,
            order_servicer,
            EventServicer(events),
            IncomingWebhookServicer(
                catalog_servicer,
                inventory_servicer,
                order_servicer,
                WebhookSecrets(settings.webhook_secrets, settings.stripe_webhook_secrets),
            ),
            WebhookServicer(
                SqlEndpoints(pool, webhooks),
                SqlDeliveries(pool, webhooks),
                SqlReplay(webhooks),
                require_https=settings.environment is Environment.PRODUCTION,
            ),
            KeyServicer(SqlKeys(pool, Mutations(pool, encode_event))),
        ),
        keys.authenticate,
        database.refusal_of,
        Limits(
            settings.max_message_bytes,
            settings.max_concurrent_rpcs + settings.max_watches,
            settings.max_connections,
            {MethodKind(kind): rate for kind, rate in settings.calls_per_second.items()},
            settings.rate_burst_seconds,
        ),
        authenticate_token=Tokens(token_keys, _token_rules(settings)).authenticate if token_keys else None,
        share_port=settings.share_port,
        logged_calls=LoggedCalls(settings.log_calls),
        tracer=tracing,
        credentials=certificates.credentials() if certificates else None,
        reflect=settings.reflects,
    )
    due = SqlDueWork(pool)
    audits = AuditTally()
    told: Sequence[Families] = (
        lambda: families.calls(server.calls),
        lambda: families.committing(committer, settings.committer_queue_limit),
        lambda: families.caches(window.reads),
        lambda: families.pool("stockward", database.use_of(pool)),
        lambda: families.auditing(audits),
        lambda: families.certificates(settings.certificates),
        lambda: [families.nats_connected(waker.connected)],
    )
    clockwork = [
        _every(settings.sweep_interval_seconds, "sweep", lambda: sweep(due, committer.submit)),
        _every(settings.sweep_interval_seconds, "scheduled publishing", catalog.publish_due),
        _every(api_keys.USES_SECONDS, "recording uses of keys", keys.record_uses),
        _every(HOUSEKEEPING_SECONDS, "housekeeping", lambda: _keep_house(pool, settings)),
        _every(HOUSEKEEPING_SECONDS, "the short audit", lambda: _audit(pool, audits)),
    ]
    if token_keys:
        clockwork.append(_every(settings.jwks_refresh_seconds, "reading the token issuer's keys", token_keys.refresh))
    if certificates:
        clockwork.append(_every(TLS_SECONDS, "reading the TLS files", certificates.reload))
    try:
        port = await server.start(settings.grpc_address)
        tasks = [asyncio.create_task(each) for each in clockwork]
        try:
            async with (
                watching(settings.database_url.get_secret_value(), told, server.set_serving) as exposition,
                listening(admin_address, exposition.routes()),
            ):
                try:
                    yield Running(port, pool, committer, exposition)
                finally:
                    exposition.readiness.stopping = True
                    await server.give_notice(settings.shutdown_notice)
                    await follower.close()
                    await server.stop(settings.shutdown_grace_seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await committer.close()
        await waker.close()
        await pool.close()
        await _end(tracing)


def _certificates(settings: Settings) -> ServerCertificates | None:
    """The server's TLS files, where it has some; SettingsError when they cannot be used, or are missing and needed."""
    settings.refuse_plaintext("grpc_address", "tls_cert")
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    with _told_by_variable("tls_"):
        return ServerCertificates(CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca))


@contextmanager
def _told_by_variable(prefix: str) -> Iterator[None]:
    """Files that cannot be used are told as the settings that name them."""
    try:
        yield
    except CertificateError as error:
        raise SettingsError([f"{variable(prefix + error.part)}: {error}"]) from None


def _token_keys(settings: Settings) -> KeySet | None:
    """The keys of the token issuer, where tokens are taken."""
    if settings.jwks_url:
        source = from_url(settings.jwks_url)
    elif settings.jwks_file:
        source = from_file(settings.jwks_file)
    else:
        return None
    return KeySet(source, settings.token_algorithms, settings.jwks_refetch_seconds)


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        issuer=settings.jwt_issuer or "",  # the settings have seen to it that they are there
        audience=settings.jwt_audience or "",
        algorithms=settings.token_algorithms,
        role_claim=settings.jwt_role_claim,
        roles={theirs: Role[ours.upper()] for theirs, ours in settings.token_roles.items()},
        leeway_seconds=settings.jwt_leeway_seconds,
        customer_claim=settings.jwt_customer_claim,
    )


def _tracing(settings: Settings, process: str) -> Tracing | None:
    """The traces of this process, where they are wanted. SettingsError where what they need is not installed."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from stockward_server.observability.tracing import Tracing
    except ModuleNotFoundError:
        raise SettingsError(
            [f"{variable('otlp_endpoint')}: expected OpenTelemetry to be installed: stockward[tracing]"]
        ) from None
    return Tracing(process, settings.otlp_endpoint)


async def _end(tracing: Tracing | None) -> None:
    if tracing is not None:
        await asyncio.to_thread(tracing.close)


async def _keep_house(pool: database.Pool, settings: Settings) -> None:
    """Makes room for the events to come, and lets go of what is past its retention."""
    try:
        async with pool.acquire() as connection:
            await database.ensure_event_partitions(connection)
    except asyncpg.LockNotAvailableError:
        log.info("the record of events is in use, room for the days to come is made later")
    await drop_expired_partitions(pool, settings.event_retention_days)
    await delete_expired_idempotency(pool, settings.idempotency_retention_days)
    if settings.contact_retention_days is not None:
        await delete_expired_contacts(pool, settings.contact_retention_days)
    await delete_finished_deliveries(pool, settings.event_retention_days)
    await delete_orphaned_deliveries(pool)
    await delete_expired_secrets(pool)


async def _audit(pool: database.Pool, tally: AuditTally) -> None:
    """Says at once what a full audit would find later."""
    checked, found = await audit_recent(pool)
    tally.add(checked, len(found))
    for each in found:
        log.error("%s at %s: %s is %d", each.sku, each.location_id, each.counter, each.counted)


async def _every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Does the work again and again, with a pause between; a failure is logged and tried again."""
    while True:
        try:
            await work()
        except Exception as error:
            expected = isinstance(error, Refusal) or database.refusal_of(error)
            log.warning("%s failed: %r", name, error, exc_info=None if expected else error)
        await asyncio.sleep(seconds)
