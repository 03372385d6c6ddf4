"""Masks secrets in values for people and logs."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

SHOWN = ("host", "port", "target_session_attrs")
"""Parameters that are no secrets."""


def masked_url(url: str) -> str:
    """Returns ``url`` without parts that may be secret: passwords, tokens, a webhook's path and query."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    if parts.scheme in ("http", "https"):
        return urlunsplit((parts.scheme, ("***@" if at else "") + host, "/***" * (parts.path > "/"), "", ""))
    user, colon, _ = credentials.partition(":")
    if colon:
        credentials = f"{user}:***"
    elif parts.scheme in ("nats", "tls"):
        credentials = "***" * bool(at)  # a lone name is a token there
    query = {key: values[0] for key, values in parse_qs(parts.query).items() if key in SHOWN}
    return urlunsplit((parts.scheme, credentials + at + host, parts.path, urlencode(query, safe="/,"), ""))
