"""Names, limits and Envoy's notation, shared by the parts of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CLUSTER = "stockward"

STRICT_JSON = "strict_json"
"""The filter that refuses unknown fields; the metadata of the route name the message type of the body, if any."""

ADMISSION = "admission"
"""The filter that counts refused credentials; the metadata of the route say whether a credential is required."""

QUESTION = "question"
"""The filter that authenticates the sender of a large body before it is read; the metadata of the route name the
method."""

BUFFER = "envoy.filters.http.buffer"
"""The filter that reads a body, up to the limit of its route."""

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"


@dataclass(frozen=True)
class Limits:
    """Limits of the edge for its clients."""

    body_bytes: int = 4 * 1024 * 1024
    """Largest JSON body, in bytes; 413 for larger ones. gRPC messages have the server's limit."""
    body_share: float = 0.1
    """Maximum share of a worker's time for the large JSON bodies of one caller; 429 beyond."""
    header_kib: int = 96
    """Maximum of URL and headers together, in KiB; 431 beyond. A thousand SKUs in a URL fit."""
    call_seconds: float = 30.0
    """Timeout of a REST call, from its first byte to the last of the response; 408 or 504 beyond."""
    header_seconds: float = 10.0
    """Timeout of the headers; 408 beyond."""
    idle_seconds: float = 300.0
    """Seconds that a connection, or a stream such as a watch, may be idle."""
    connections: int = 10_000
    """Maximum of concurrent connections; further ones are closed at once."""
    connections_per_address: int = 2_500
    """Maximum of concurrent connections of one address and of others with the same hash; 0 for no limit."""
    keyless_per_second: int = 100
    """Requests a second from one address without a credential, or with one not known to be valid while many are
    refused; 0 for no limit."""
    calls_per_second: float = 1000
    """Calls a second of one caller that pass through each worker; more wait for their turn. 0 for no limit."""
    proxies: int = 0
    """Number of proxies in front, which are trusted for the client's address."""


@dataclass(frozen=True)
class Page:
    """A file that the edge serves itself."""

    path: str
    content_type: str
    text: str
    policy: str = "default-src 'none'; frame-ancestors 'none'"
    """Its Content-Security-Policy: what a browser may load and run for it."""
    cache: str = ""
    """Its Cache-Control, if any."""
    compressed: bool = False
    """Whether it is stored and sent with gzip, which every browser understands."""
    is_prefix: bool = False
    """Whether it is served for every path that begins with `path`, unless another page has it."""
    missing: str = ""
    """A prefix below `path`, if any, for which it is not served: what is not found there does not exist."""


def typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    """Returns an extension of Envoy with its configuration, a message of type `kind`."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **fields}}


def lua(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """Returns a filter that runs a script."""
    kind = "envoy.extensions.filters.http.lua.v3.Lua"
    return {**typed(name, kind, default_source_code={"inline_string": script}), **fields}


def header(name: str, value: str) -> dict[str, Any]:
    """Returns a header that Envoy sets, replacing any other of its name."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def seconds(seconds: float) -> str:
    """Returns a google.protobuf.Duration in JSON, such as `0.5s`."""
    return f"{seconds:g}s"
