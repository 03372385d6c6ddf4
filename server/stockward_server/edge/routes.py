"""Envoy's routes: gRPC by service, REST by path and verb, and errors for all other requests."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet

from stockward_server.edge.contract import Route, body_type, messages, routes, services
from stockward_server.edge.parts import (
    ADMISSION,
    BUFFER,
    CLUSTER,
    QUESTION,
    STRICT_JSON,
    TRANSCODER,
    Limits,
    Page,
    header,
    seconds,
    typed,
)
from stockward_server.edge.sizes import max_bytes

GRPC = r"application/grpc(-web)?(-text)?([+;].*)?"
"""Content types of gRPC and of gRPC-Web."""

UNSENT = "connect-failure,refused-stream,reset-before-request"
"""Failures before a server has started the call, after which any call can be retried. A mutation that a server may have
received is not retried: without a request_id it could take effect twice."""

HARMLESS = f"{UNSENT},reset,unavailable,cancelled"
"""Failures after which a read is retried on another server; a server that stops returns CANCELLED."""

SERVER_MARGIN_SECONDS = 1.0
"""Seconds by which a server's timeout is longer than the edge's."""

NO_BODY = 1024
"""Maximum of bytes in the body of a request that needs none."""

UNTRANSCODED = {
    TRANSCODER: {
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
        "disabled": True,
    }
}
"""Disables the transcoder, for routes that the edge serves itself."""


def envoy_routes(contract: FileDescriptorSet, pages: Sequence[Page], limits: Limits) -> list[dict[str, Any]]:
    """Returns the routes: gRPC by service, REST by path and verb, then errors for other verbs and other paths."""
    known = messages(contract)
    # A literal segment goes before a variable: `{` sorts behind every letter.
    rest = sorted(routes(contract), key=lambda route: route.path)
    signed = {route.service for route in rest if route.is_signed}
    return [
        _preflights(),
        *(_grpc_route(service, keyed=service not in signed) for service in services(contract)),
        _grpc_route("grpc.health.v1.Health", keyed=False),
        *(_rest_route(route, body_type(route, known), _body_limit(route, known, limits), limits) for route in rest),
        *_entrance(pages),
        *(_page_route(page) for page in pages if not page.is_prefix),
        *(_answer({"prefix": page.missing, "headers": [_verb("GET")]}, 404) for page in pages if page.missing),
        *(_page_route(page) for page in pages if page.is_prefix),
        *(_other_verbs(pattern, rest) for pattern in dict.fromkeys(route.pattern for route in rest)),
        *(_answer(_page_match(page), 405, "this path takes GET", allow="GET") for page in pages),
        _answer({"prefix": "/"}, 404),
    ]


def _preflights() -> dict[str, Any]:
    """Returns the route of CORS preflights. The CORS filter responds to them, on routes that lead to a server only."""
    asks = [{"name": name, "present_match": True} for name in ("origin", "access-control-request-method")]
    return {"match": {"prefix": "/", "headers": [_verb("OPTIONS"), *asks]}, "route": {"cluster": CLUSTER}}


def _grpc_route(service: str, *, keyed: bool) -> dict[str, Any]:
    """Returns the route of a service over gRPC and gRPC-Web. Its only timeout is the caller's deadline, as streams have
    none. `keyed`: calls need a credential."""
    content_type = {"name": "content-type", "string_match": {"safe_regex": {"regex": GRPC}}}
    return {
        "match": {"prefix": f"/{service}/", "headers": [content_type]},
        "route": {
            "cluster": CLUSTER,
            "timeout": "0s",
            "max_stream_duration": {"grpc_timeout_header_max": "0s"},
            "retry_policy": _retry(UNSENT),
        },
        "metadata": {"filter_metadata": {ADMISSION: {"keyed": keyed}, QUESTION: {"keyed_grpc": keyed}}},
    }


def _body_limit(route: Route, known: Mapping[str, DescriptorProto], limits: Limits) -> int:
    """Returns the maximum size of a request's body, in bytes: that of its message, or of any body if it is signed."""
    if route.is_signed:
        return limits.body_bytes
    body = body_type(route, known)
    return min(limits.body_bytes, max_bytes(body, known)) if body else NO_BODY


def _rest_route(route: Route, body: str, body_limit: int, limits: Limits) -> dict[str, Any]:
    call = seconds(limits.call_seconds)
    return {
        "match": {"safe_regex": {"regex": route.pattern}, "headers": [_verb(route.verb)]},
        "route": {
            "cluster": CLUSTER,
            "timeout": call,
            "max_stream_duration": {"max_stream_duration": call},
            "retry_policy": _retry(HARMLESS if route.verb == "GET" else UNSENT),
        },
        # The server drops a call that is past this deadline before it takes effect. The deadline is a little later than
        # the edge's timeout, so that callers always get the edge's error, which has the reason.
        "request_headers_to_add": [
            header("grpc-timeout", f"{int((limits.call_seconds + SERVER_MARGIN_SECONDS) * 1000)}m"),
        ],
        # The transcoder writes the URL there: with a thousand SKUs it is too long for the server.
        "request_headers_to_remove": ["x-envoy-original-path"],
        "metadata": {
            "filter_metadata": {
                ADMISSION: {"keyed": not route.is_signed},
                QUESTION: {"most": body_limit} | ({"method": f"/{route.service}/{route.method.name}"} if body else {}),
                STRICT_JSON: {"message": body, "most": body_limit, "bound": " ".join(_bound(route))},
            }
        },
        "typed_per_filter_config": {
            BUFFER: {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
                "buffer": {"max_request_bytes": body_limit},
            },
            STRICT_JSON: {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"},
        },
    }


def _bound(route: Route) -> list[str]:
    """Returns the JSON names of the fields in the path: a query parameter of that name would override the path."""
    return [re.sub("_(.)", lambda found: found[1].upper(), name) for name in route.variables]


def _other_verbs(pattern: str, rest: Sequence[Route]) -> dict[str, Any]:
    """Returns the route for other verbs on a known path. `/products/create` also matches `/products/{product_id}`, so
    the verbs of both are allowed."""
    path = next(route.path for route in rest if route.pattern == pattern)
    allowed = ", ".join(sorted({route.verb for route in rest if re.fullmatch(route.pattern, path)}))
    return _answer({"safe_regex": {"regex": pattern}}, 405, f"this path takes {allowed}", allow=allowed)


def _page_route(page: Page) -> dict[str, Any]:
    body = {"inline_string": page.text}
    headers = {"content-type": page.content_type, "content-security-policy": page.policy}
    if page.cache:
        headers["cache-control"] = page.cache
    if page.compressed:
        headers["content-encoding"] = "gzip"
        body = {"inline_bytes": base64.b64encode(gzip.compress(page.text.encode(), mtime=0)).decode()}
    return {
        "match": {**_page_match(page), "headers": [_verb("GET")]},
        "direct_response": {"status": 200, "body": body},
        "response_headers_to_add": [header(name, value) for name, value in headers.items()],
        "typed_per_filter_config": UNTRANSCODED,
    }


def _entrance(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """Returns the route that leads from `/` to the last page that people read: to the console where it is served, and
    else to the reference."""
    to_read = [page.path for page in pages if page.content_type.startswith("text/html") and not page.is_prefix]
    return [
        {
            "match": {"path": "/", "headers": [_verb("GET")]},
            "redirect": {"path_redirect": path, "response_code": "FOUND"},
            "typed_per_filter_config": UNTRANSCODED,
        }
        for path in to_read[-1:]
    ]


def _page_match(page: Page) -> dict[str, Any]:
    return {"prefix": page.path} if page.is_prefix else {"path": page.path}


def _answer(match: dict[str, Any], status: int, message: str = "", allow: str = "") -> dict[str, Any]:
    """Returns a route with an error of the edge; see `replies`."""
    body = {"body": {"inline_string": message}} if message else {}
    headers = {"response_headers_to_add": [header("allow", allow)]} if allow else {}
    return {
        "match": match,
        "direct_response": {"status": status, **body},
        **headers,
        "typed_per_filter_config": UNTRANSCODED,
    }


def _verb(verb: str) -> dict[str, Any]:
    return {"name": ":method", "string_match": {"exact": verb}}


def _retry(when: str) -> dict[str, Any]:
    """Returns a retry policy: up to three times, within a tenth of a second, on a server not tried yet if possible."""
    predicate = typed(
        "envoy.retry_host_predicates.previous_hosts",
        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    )
    return {
        "retry_on": when,
        "num_retries": 3,
        "retry_host_predicate": [predicate],
        "host_selection_retry_max_attempts": 10,
    }
