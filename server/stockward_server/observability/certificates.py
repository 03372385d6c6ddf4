"""How long certificates are good."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509


def expiry_of(file: Path) -> datetime:
    """When the first certificate of a PEM file ends; OSError or ValueError where there is none."""
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
