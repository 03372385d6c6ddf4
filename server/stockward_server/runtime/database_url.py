"""The servers that a URL of PostgreSQL names, in either of libpq's forms: in its address, or in its parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlencode, urlsplit, urlunsplit

DEFAULT_PORT = 5432

OURS = ("target_session_attrs", "connect_timeout")
"""Parameters for clients; PostgreSQL would refuse them as settings."""

TO_THE_PRIMARY = ("any", "primary", "read-write")
"""Values of `target_session_attrs` that lead to a server that can be written to."""

TO_A_STANDBY = ("any", "prefer-standby", "standby", "read-only")
"""Values that lead to one that only can be read."""


@dataclass(frozen=True, slots=True)
class Host:
    """One server: a host name, an IP address, or the directory of a Unix socket; and a port."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


def hosts_of(url: str, wanted: Sequence[str] = TO_THE_PRIMARY) -> Sequence[Host]:
    """Returns the servers in their order; none where the URL leaves them to the driver. Raises ValueError for a URL
    that is malformed, or whose `target_session_attrs` is none of those that are `wanted`."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    attributes = query.get("target_session_attrs", ["any"])[-1]
    if attributes not in wanted:
        raise ValueError(f"target_session_attrs={attributes}")
    named = [each for each in parts.netloc.rpartition("@")[2].split(",") if each]
    if named:
        return [_host(unquote(each)) for each in named]
    names = [name for each in query.get("host", ())[-1:] for name in each.split(",")]
    ports = [int(port) for each in query.get("port", ())[-1:] for port in each.split(",")] or [DEFAULT_PORT]
    if len(ports) == 1:
        ports *= len(names)
    return [_checked(Host(name, port)) for name, port in zip(names, ports, strict=True)]


def without_client_parameters(url: str) -> str:
    """Returns the URL without the parameters that are carried out here."""
    parts = urlsplit(url)
    kept = {key: values[-1] for key, values in parse_qs(parts.query).items() if key not in OURS}
    return urlunsplit(parts._replace(query=urlencode(kept, safe="/,")))


def _host(text: str) -> Host:
    """Returns the server of HOST, HOST:PORT or [IPv6]:PORT."""
    found = re.fullmatch(r"(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?", text)
    if not found:
        raise ValueError(text)
    return _checked(Host(found[1] or found[2] or "", int(found[3] or DEFAULT_PORT)))


def _checked(host: Host) -> Host:
    if not host.name or not 1 <= host.port <= 65535:
        raise ValueError(f"{host.name}:{host.port}")
    return host
