"""Etags: a change is refused when the resource has changed since the caller read it (AIP-154)."""

from __future__ import annotations

from hashlib import blake2b

from stockward_server.domain.errors import EtagMismatch


def etag_of_version(version: int) -> str:
    """Returns the etag of a resource whose version counts its changes."""
    return str(version)


def etag_of(*values: object) -> str:
    """Returns the etag of a resource without a version, from the values that can be changed."""
    return blake2b(repr(values).encode(), digest_size=8).hexdigest()


def require_etag(resource: str, present: str, sent: str, **ids: str) -> None:
    """Raises EtagMismatch when `sent` is not the current etag; an empty `sent` skips the check.

    `resource` names the resource in the message, such as `order 0190...`; `ids` hold its id.
    """
    if sent and sent != present:
        raise EtagMismatch(resource, sent, etag=present, **ids)
