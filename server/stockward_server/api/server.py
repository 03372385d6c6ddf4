"""The grpc.aio server: limits, interceptors, the contract's services, health and reflection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from stockward.auth.v1 import key_pb2, key_pb2_grpc, session_pb2, session_pb2_grpc
from stockward.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from stockward.event.v1 import event_pb2, event_pb2_grpc
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from stockward.order.v1 import order_pb2, order_pb2_grpc
from stockward.status.v1 import status_pb2, status_pb2_grpc
from stockward.webhook.v1 import incoming_pb2, incoming_pb2_grpc, webhook_pb2, webhook_pb2_grpc

from stockward_server.api.calls.arrivals import Slots
from stockward_server.api.calls.interceptor import CallInterceptor
from stockward_server.api.calls.methods import Methods
from stockward_server.api.calls.rate_limits import RateLimits
from stockward_server.api.calls.stream_limits import StreamLimits
from stockward_server.api.calls.trace import CallTracer
from stockward_server.api.health import HealthServicer
from stockward_server.application.calls import LoggedCalls, MethodKind
from stockward_server.application.context import Caller
from stockward_server.auth.identity import Identity, roles_by_method, signed_methods
from stockward_server.domain.errors import Refusal
from stockward_server.wire.validation.rules import Rules, prepare

SERVICES = [
    catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"],
    order_pb2.DESCRIPTOR.services_by_name["OrderService"],
    event_pb2.DESCRIPTOR.services_by_name["EventService"],
    incoming_pb2.DESCRIPTOR.services_by_name["IncomingWebhookService"],
    webhook_pb2.DESCRIPTOR.services_by_name["WebhookService"],
    key_pb2.DESCRIPTOR.services_by_name["KeyService"],
    session_pb2.DESCRIPTOR.services_by_name["SessionService"],
    status_pb2.DESCRIPTOR.services_by_name["StatusService"],
]
"""Every service of the contract."""


METADATA_BYTES = 16 * 1024
"""Metadata of one call."""

IDENTITY_ONLY = 1
"""No message may be compressed: 7 kB become 7 MB before anything of ours can count them, and a third of a second."""

HANDSHAKE_SECONDS = 10.0
"""How long a connection may take to begin, with TLS and HTTP/2."""

SPARE_CALLS = 2048
"""Calls beside those of known callers: without a key, being refused, and asking for health. At the sum gRPC itself
refuses every call, the edge's question for health as well. As many may wait until they are taken up; of more it would
cancel some at random, whosever they are, and already of a thousand if it were left to that."""


GRPC_LOG = logging.getLogger("grpc._cython.cygrpc")


def quotes_no_header(record: logging.LogRecord) -> bool:
    """Keeps out what gRPC logs of a header that is not UTF-8: a traceback and the value, which may be a credential, for
    anyone who sends one. The call gets the value read as Latin-1."""
    return not str(record.msg).startswith("Invalid encoding on")


@dataclass(frozen=True, slots=True)
class Servicers:
    """One servicer a service."""

    catalog: catalog_pb2_grpc.CatalogServiceServicer
    inventory: inventory_pb2_grpc.InventoryServiceServicer
    order: order_pb2_grpc.OrderServiceServicer
    event: event_pb2_grpc.EventServiceServicer
    incoming: incoming_pb2_grpc.IncomingWebhookServiceServicer
    webhook: webhook_pb2_grpc.WebhookServiceServicer
    key: key_pb2_grpc.KeyServiceServicer
    session: session_pb2_grpc.SessionServiceServicer
    status: status_pb2_grpc.StatusServiceServicer


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server."""

    message_bytes: int
    """Largest message. gRPC itself takes twice as much, so that the refusal can say what is wrong."""
    concurrent_calls: int
    """Calls under way at the same time."""
    connections: int
    """Connections at the same time."""
    connection_age_seconds: float
    """How long each may last."""
    connection_idle_seconds: float
    """How long each may be without a call."""
    calls_per_second: Mapping[MethodKind, float]
    """Calls of one caller; 0 for no limit."""
    burst_seconds: float
    """How much of that may come at once."""
    streams_of_caller: int
    """Watches and uploads of one caller at the same time; 0 for no limit."""
    streams_of_customer: int
    """The same for one customer's tokens."""
    send_bytes: int
    """Responses that were made and not yet read, all together."""


class ApiServer:
    """The gRPC server with its health service. `start`, then `stop`."""

    def __init__(
        self,
        servicers: Servicers,
        authenticate: Callable[[str], Awaitable[Caller | None]],
        translate: Callable[[Exception], Refusal | None],
        limits: Limits,
        *,
        authenticate_token: Callable[[str], Awaitable[Caller]] | None = None,
        share_port: bool = False,
        logged_calls: LoggedCalls = LoggedCalls.NONE,
        tracer: CallTracer | None = None,
        credentials: grpc.ServerCredentials | None = None,
        reflect: bool = True,
    ) -> None:
        """`credentials`: TLS; without them there is none. `reflect`: tell what methods there are."""
        GRPC_LOG.addFilter(quotes_no_header)  # once, however many servers there are
        self._credentials = credentials
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", int(share_port)),  # without it a second server on this port fails
                ("grpc.compression_enabled_algorithms_bitset", IDENTITY_ONLY),
                ("grpc.max_receive_message_length", 2 * limits.message_bytes),
                ("grpc.max_metadata_size", METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", METADATA_BYTES),  # between the two, calls are refused at random
                ("grpc.max_concurrent_streams", limits.concurrent_calls),  # of one connection, which may have them all
                ("grpc.server.max_pending_requests", limits.concurrent_calls + SPARE_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", limits.concurrent_calls + 2 * SPARE_CALLS),
                ("grpc.max_allowed_incoming_connections", limits.connections),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.max_connection_age_ms", round(limits.connection_age_seconds * 1000)),
                ("grpc.max_connection_age_grace_ms", 60 * 1000),
                ("grpc.max_connection_idle_ms", round(limits.connection_idle_seconds * 1000)),
                ("grpc.server_handshake_timeout_ms", round(HANDSHAKE_SECONDS * 1000)),
            ],
            maximum_concurrent_rpcs=limits.concurrent_calls + SPARE_CALLS,
        )
        interceptor = CallInterceptor(
            Identity(authenticate, roles_by_method(SERVICES), signed_methods(SERVICES), authenticate_token),
            RateLimits(SERVICES, limits.calls_per_second, limits.burst_seconds),
            StreamLimits(SERVICES, limits.streams_of_caller, limits.streams_of_customer),
            Rules(limits.message_bytes),
            Slots(limits.concurrent_calls),
            translate,
            limits.send_bytes,
            logged_calls,
            tracer,
        )
        self.calls = interceptor.calls
        self._interceptor = interceptor
        self._health = HealthServicer()
        self._methods = Methods()
        server: Any = self._methods  # as far as generated code can tell
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(servicers.catalog, server)
        inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servicers.inventory, server)
        order_pb2_grpc.add_OrderServiceServicer_to_server(servicers.order, server)
        event_pb2_grpc.add_EventServiceServicer_to_server(servicers.event, server)
        incoming_pb2_grpc.add_IncomingWebhookServiceServicer_to_server(servicers.incoming, server)
        webhook_pb2_grpc.add_WebhookServiceServicer_to_server(servicers.webhook, server)
        key_pb2_grpc.add_KeyServiceServicer_to_server(servicers.key, server)
        session_pb2_grpc.add_SessionServiceServicer_to_server(servicers.session, server)
        status_pb2_grpc.add_StatusServiceServicer_to_server(servicers.status, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [service.full_name for service in SERVICES]
        if reflect:
            servicer = reflection.aio.ReflectionServicer([*names, health.SERVICE_NAME, reflection.SERVICE_NAME])
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
        self._names = ["", *names]

    async def start(self, address: str) -> int:
        """Listens and says that it serves; answers the port. OSError when the address cannot be had."""
        try:
            if self._credentials:
                port = self._server.add_secure_port(address, self._credentials)
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from error
        prepare(method.input_type for service in SERVICES for method in service.methods)
        await self._methods.intercept(self._interceptor)
        self._server.add_generic_rpc_handlers([self._methods])
        await self._server.start()
        await self.set_serving(True)
        return port

    async def set_serving(self, serving: bool) -> None:
        """What grpc.health.v1 answers for every service."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)

    async def give_notice(self, seconds: float) -> None:
        """Says that it no longer serves, and serves for so many seconds more, until the load balancer
        has turned away: gRPC itself answers CANCELLED to what comes in the moment it stops."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(seconds)

    async def stop(self, grace: float) -> None:
        """Takes no more calls, and lets those under way finish for `grace` seconds."""
        await self._server.stop(grace)
