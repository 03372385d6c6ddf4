"""What the parts of the configuration share: names, limits, and how Envoy writes things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CLUSTER = "stockward"

STRICT_JSON = "strict_json"
"""The filter that refuses unknown fields; its script asks the route for the message that the body is, if it has one."""

ADMISSION = "admission"
"""The filter that counts refused credentials; a route says to it that a credential is needed."""

QUESTION = "question"
"""The filter that asks who sends a large body before it is read; a route says to it by which method."""

BUFFER = "envoy.filters.http.buffer"
"""The filter that reads a body, as far as its route lets it be."""

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"


@dataclass(frozen=True)
class Limits:
    """What one client may take of the edge."""

    body_bytes: int = 4 * 1024 * 1024
    """Largest JSON body; a larger one is answered 413. gRPC messages have the server's limit."""
    body_share: float = 0.1
    """Of a worker's time, what the large JSON bodies of one caller may take; 429 beyond."""
    header_kib: int = 96
    """Address and headers together; more is answered 431. A thousand SKUs in an address fit."""
    call_seconds: float = 30.0
    """A REST call from its first byte to the last of the answer; 408 or 504 beyond."""
    header_seconds: float = 10.0
    """How long the headers may take; 408 beyond."""
    idle_seconds: float = 300.0
    """How long a connection, or a stream such as a watch, may be silent."""
    connections: int = 10_000
    """Connections at the same time; further ones are closed at once."""
    connections_per_address: int = 2_500
    """Those of one address, and of the others whose hash is the same; 0 for no limit."""
    keyless_per_second: int = 100
    """Requests without a credential from one address, or with one that is not known to be good while many are
    refused; 0 for no limit."""
    calls_per_second: float = 1000
    """Calls of one caller that go through each worker a second; more wait for their turn. 0 for no limit."""
    proxies: int = 0
    """Proxies in front, whose word is taken for the address that a request comes from."""


@dataclass(frozen=True)
class Page:
    """A file that the edge serves by itself."""

    path: str
    content_type: str
    text: str
    policy: str = "default-src 'none'; frame-ancestors 'none'"
    """Its Content-Security-Policy: what a browser may load and run for it."""


def typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **fields}}


def lua(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """Returns a filter that runs a script."""
    kind = "envoy.extensions.filters.http.lua.v3.Lua"
    return {**typed(name, kind, default_source_code={"inline_string": script}), **fields}


def header(name: str, value: str) -> dict[str, Any]:
    """Returns a header that Envoy sets, replacing any other of its name."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def seconds(seconds: float) -> str:
    return f"{seconds:g}s"
