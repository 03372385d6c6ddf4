"""Checks of single values: each returns the value, or raises ValueError with what was expected."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from stockward_server.application.context import Role
from stockward_server.runtime.database_url import TO_A_STANDBY, TO_THE_PRIMARY, hosts_of

TOKEN_ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
"""Signature algorithms that can be accepted: with public keys only, since a process that verifies with a shared secret
could also sign."""

TOKEN_ROLES = [role.name.lower() for role in Role]


def check_address(value: str) -> str:
    """Returns ``value`` if it is HOST:PORT. Raises ValueError."""
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("expected HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:50051")
    return value


def is_loopback(address: str) -> bool:
    """Returns whether HOST:PORT can be reached from this machine only."""
    return _is_this_machine(address.rpartition(":")[0].strip("[]"))


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_database_url(value: SecretStr) -> SecretStr:
    if not _is_of_postgresql(value.get_secret_value(), TO_THE_PRIMARY):
        raise ValueError(
            "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, several HOST:PORT separated by commas; "
            "target_session_attrs, if given, read-write"
        )
    return value


def check_database_read_url(value: SecretStr) -> SecretStr:
    if not _is_of_postgresql(value.get_secret_value(), TO_A_STANDBY):
        raise ValueError(
            "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE of standbys, several HOST:PORT separated by "
            "commas; target_session_attrs, if given, prefer-standby or standby"
        )
    return value


def _is_of_postgresql(url: str, session_attributes: Sequence[str]) -> bool:
    try:
        hosts_of(url, session_attributes)
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("postgresql", "postgres") and len(parts.path) >= 2


def crosses_a_network_unverified(database_url: str) -> bool:
    """Returns whether a connection to PostgreSQL leaves this machine without TLS that verifies the server; a path is a
    socket."""
    hosts = [host.name for host in hosts_of(database_url, (*TO_THE_PRIMARY, *TO_A_STANDBY))]
    outside = [host for host in hosts if not host.startswith("/") and not _is_this_machine(host)]
    query = parse_qs(urlsplit(database_url).query)
    return bool(outside) and query.get("sslmode", [""])[-1] not in ("verify-full", "verify-ca")


def has_credentials(queue_url: str) -> bool:
    """Returns whether the URL of every NATS server has a user or a token."""
    return all(urlsplit(server.strip()).username for server in queue_url.split(","))


def check_stream_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise ValueError("expected 1 to 64 letters A to Z, digits, _ or -")
    return value


def check_api_prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_$-]+(\.[A-Za-z0-9_-]+)*", value):
        raise ValueError("expected words separated by dots, such as $JS.API")
    return value


def check_queue_url(value: SecretStr) -> SecretStr:
    for server in value.get_secret_value().split(","):
        parts = _split(server.strip())
        if parts is None or parts.scheme not in ("nats", "tls") or not parts.hostname:
            raise ValueError("expected nats://HOST:PORT (or tls://), several separated by commas")
    return value


def check_webhook_url(value: SecretStr) -> SecretStr:
    parts = _split(value.get_secret_value())
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected http://HOST/PATH or https://HOST/PATH")
    return value


def check_webhook_secrets(value: SecretStr) -> SecretStr:
    """Checks secrets of Standard Webhooks 1.0: `whsec_` and the base64 of 24 to 64 random bytes."""
    secrets = several(value)
    for secret in secrets:
        prefix, _, encoded = secret.partition("_")
        try:
            size = len(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if prefix != "whsec" or not 24 <= size <= 64:
            secrets = []
    if not secrets:
        raise ValueError("expected whsec_ followed by the base64 of 24 to 64 random bytes, several separated by spaces")
    return value


def is_weak(secret: str) -> bool:
    """Returns whether a secret is not random: 24 random bytes have fewer than 12 different values once in over 10^9."""
    return len(set(base64.b64decode(secret.partition("_")[2]))) < 12


def check_networks(value: str) -> str:
    for network in value.replace(",", " ").split():
        try:
            ip_network(network)
        except ValueError:
            raise ValueError(
                "expected networks such as 10.0.0.0/8 or fd00::/8, separated by spaces or commas"
            ) from None
    return value


def check_public_url(value: str) -> str:
    parts = _split(value)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected https://HOST or http://HOST, without a query")
    return value


def check_jwks_url(value: str) -> str:
    parts = _split(value)
    loopback = parts is not None and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts is None or not parts.hostname or parts.scheme not in (("http", "https") if loopback else ("https",)):
        raise ValueError("expected https://HOST/PATH (http:// on this machine only)")
    return value


def check_algorithms(value: str) -> str:
    if not set(names(value)) or not set(names(value)) <= TOKEN_ALGORITHMS:
        raise ValueError(f"expected some of {', '.join(sorted(TOKEN_ALGORITHMS))}, separated by commas")
    return value


def check_token_roles(value: str) -> str:
    pairs = [pair.partition("=") for pair in names(value)]
    if not pairs or any(not theirs or ours not in TOKEN_ROLES for theirs, _, ours in pairs):
        raise ValueError("expected THEIRS=OURS with storefront, viewer, pms or admin as OURS, separated by commas")
    return value


def names(value: str) -> list[str]:
    """Splits words separated by commas or spaces."""
    return value.replace(",", " ").split()


def several(value: SecretStr | None) -> list[str]:
    """Splits secrets separated by spaces or commas; returns an empty list for None."""
    return value.get_secret_value().replace(",", " ").split() if value else []


def _split(url: str) -> Any:
    """Returns the parts of a URL; None if it is malformed, such as a port that is not a number."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (the property checks the number)
    except ValueError:
        return None
    return parts


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value
