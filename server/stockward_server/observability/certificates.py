"""Expiry of certificates."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509


def expiry_of(file: Path) -> datetime:
    """Returns when the first certificate of a PEM file expires, in UTC. Raises OSError or ValueError without one."""
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
