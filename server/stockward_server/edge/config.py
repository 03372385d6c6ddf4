"""Builds Envoy's whole configuration from the contract; nothing of it is written by hand."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from stockward_server.edge.addresses import filter_chains, keyless_requests, silent_connections
from stockward_server.edge.contract import body_type, enums, messages, routes, services
from stockward_server.edge.pace import even_pace
from stockward_server.edge.parts import (
    BUFFER,
    CLUSTER,
    QUESTION,
    STRICT_JSON,
    TRANSCODER,
    Limits,
    Page,
    header,
    lua,
    seconds,
    typed,
)
from stockward_server.edge.question import question_script
from stockward_server.edge.replies import local_replies
from stockward_server.edge.routes import envoy_routes
from stockward_server.edge.tls import EdgeTls, downstream, upstream
from stockward_server.edge.unknown_fields import script
from stockward_server.wire import consistency_token

EXPOSED = f"grpc-status,grpc-message,grpc-status-details-bin,allow,retry-after,{consistency_token.HEADER}"
"""Response headers that a browser exposes to its page."""

ALLOWED = f"authorization, content-type, grpc-timeout, x-grpc-web, x-user-agent, {consistency_token.HEADER}"
"""Request headers that a page may set."""

FAIRNESS = {
    "http.max_requests_per_io_cycle": 8,
    "overload.premature_reset_total_stream_count": 100,
}
"""Envoy's runtime settings against one HTTP/2 connection that keeps a worker busy: the requests that it may start in
one iteration of the event loop, and the streams after which it is closed if it reset more than half of them within a
second each."""


def envoy_config(
    contract: FileDescriptorSet,
    listen: str,
    upstreams: Sequence[str],
    *,
    pages: Sequence[Page] = (),
    origins: Sequence[str] = ("*",),
    limits: Limits | None = None,
    tls: EdgeTls | None = None,
) -> dict[str, Any]:
    """Returns the configuration of an Envoy on `listen` in front of the gRPC servers `upstreams`, HOST:PORT each.

    Browsers may call it from pages of `origins` (`https://HOST`); `*` stands for all, which is safe since calls are
    authorized by a key in a header, never by a cookie.
    """
    limits, tls = limits or Limits(), tls or EdgeTls()
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **_connection_manager(contract, pages, origins, limits),
    )
    chain = {
        **downstream(tls),
        "transport_socket_connect_timeout": seconds(limits.header_seconds),
        "filters": [manager],
    }
    listener = {
        "name": "edge",
        "address": _address(listen),
        **silent_connections(limits),
        **filter_chains(chain, limits),
    }
    return {
        "node": {"id": "edge", "cluster": "stockward"},  # Envoy watches secrets only with a node
        "static_resources": {"listeners": [listener], "clusters": [_cluster(upstreams, tls)]},
        "layered_runtime": {"layers": [{"name": "edge", "static_layer": FAIRNESS}]},
        "overload_manager": {
            "resource_monitors": [
                typed(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=limits.connections,
                )
            ]
        },
    }


def _connection_manager(
    contract: FileDescriptorSet, pages: Sequence[Page], origins: Sequence[str], limits: Limits
) -> dict[str, Any]:
    return {
        "stat_prefix": "edge",
        "server_name": "stockward",
        "use_remote_address": True,
        "xff_num_trusted_hops": limits.proxies,
        "internal_address_config": {},  # x-envoy-* headers of clients are ignored
        # A segment of a path is data: a SKU may be `..` or have a slash in it.
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "max_request_headers_kb": limits.header_kib,
        "request_headers_timeout": seconds(limits.header_seconds),
        "stream_idle_timeout": seconds(limits.idle_seconds),
        "common_http_protocol_options": {"idle_timeout": seconds(limits.idle_seconds), "max_headers_count": 100},
        "http2_protocol_options": {"max_concurrent_streams": 1000},
        "local_reply_config": local_replies(),
        "access_log": [_failures()],
        "http_filters": _filters(contract, limits),
        "route_config": {
            "name": "edge",
            "max_direct_response_body_size_bytes": 16 * 1024 * 1024,
            "virtual_hosts": [
                {
                    "name": "edge",
                    "domains": ["*"],
                    "routes": envoy_routes(contract, pages, limits),
                    # Browsers must not guess the type: input of others is never rendered as a page.
                    "response_headers_to_add": [header("x-content-type-options", "nosniff")],
                    "typed_per_filter_config": {"envoy.filters.http.cors": _cors(origins)},
                }
            ],
        },
    }


def _filters(contract: FileDescriptorSet, limits: Limits) -> list[dict[str, Any]]:
    """Returns the HTTP filters in the order in which a request passes them."""
    http = "envoy.extensions.filters.http"
    known = messages(contract)
    bodies = {body_type(route, known) for route in routes(contract)}
    return [
        typed(
            "envoy.filters.http.health_check",
            f"{http}.health_check.v3.HealthCheck",
            pass_through_mode=False,
            headers=[{"name": ":path", "string_match": {"exact": "/healthz"}}],
            cluster_min_healthy_percentages={CLUSTER: {"value": 1}},
        ),
        *keyless_requests(limits),
        *even_pace(limits),
        typed("envoy.filters.http.cors", f"{http}.cors.v3.Cors"),
        typed("envoy.filters.http.grpc_web", f"{http}.grpc_web.v3.GrpcWeb"),
        lua(QUESTION, question_script()),
        {
            **typed(BUFFER, f"{http}.buffer.v3.Buffer", max_request_bytes=limits.body_bytes),
            "disabled": True,  # but for the routes of REST
        },
        {
            **lua(STRICT_JSON, script(known, bodies, enums(contract), limits.body_share)),
            "disabled": True,  # but for the routes of REST
        },
        typed(
            TRANSCODER,
            f"{http}.grpc_json_transcoder.v3.GrpcJsonTranscoder",
            proto_descriptor_bin=base64.b64encode(contract.SerializeToString(deterministic=True)).decode(),
            services=services(contract),
            convert_grpc_status=True,
            match_incoming_request_route=True,
            query_param_unescape_plus=True,
            max_request_body_size=limits.body_bytes,
            max_response_body_size=64 * 1024 * 1024,
            # Zero is information: `"available": "0"` is written.
            print_options={"always_print_primitive_fields": True},
            request_validation_options={
                "reject_unknown_method": True,
                "reject_unknown_query_parameters": True,
                "reject_binding_body_field_collisions": True,
            },
        ),
        typed("envoy.filters.http.router", f"{http}.router.v3.Router", suppress_envoy_headers=True),
    ]


def _cors(origins: Sequence[str]) -> dict[str, Any]:
    matched = [{"safe_regex": {"regex": ".*"}} if each == "*" else {"exact": each} for each in origins]
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": matched,
        "allow_methods": "GET, POST, PUT, PATCH, DELETE",
        "allow_headers": ALLOWED,
        "expose_headers": EXPOSED,
        "max_age": "7200",
        "forward_not_matching_preflights": False,
    }


def _failures() -> dict[str, Any]:
    """Returns the access log: a line of JSON on standard output for every call with a status of 500 or more."""
    value = {"default_value": 500, "runtime_key": "edge.logged_from_status"}
    line = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH):200%",  # a query may name a customer
        "status": "%RESPONSE_CODE%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "server": "%UPSTREAM_HOST%",
        "ms": "%DURATION%",
    }
    return {
        **typed(
            "envoy.access_loggers.stdout",
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={"json_format": line},
        ),
        "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": value}}},
    }


def _cluster(upstreams: Sequence[str], tls: EdgeTls) -> dict[str, Any]:
    """Returns the cluster of servers: the less busy of two gets a call; servers that report NOT_SERVING get none."""
    protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": CLUSTER,
        "type": "STRICT_DNS",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1s",
        **upstream(tls, upstreams),
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(each)}} for each in upstreams]}],
        },
        "typed_extension_protocol_options": {
            protocol: {
                "@type": f"type.googleapis.com/{protocol}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "health_checks": [
            {
                "grpc_health_check": {},
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }
        ],
        # A server that refuses connections fails fast and so seems the least busy: it is ejected at once, for a second.
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 1,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "interval": "1s",
            "base_ejection_time": "1s",
            "max_ejection_time": "1s",
            "max_ejection_percent": 100,
        },
        # If no server is healthy, all are tried: the health checks may be outdated by a second.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "circuit_breakers": {
            "thresholds": [{"max_requests": 10_000, "max_pending_requests": 10_000, "max_retries": 100}]
        },
    }


def _address(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
