"""The server's certificate, from files that may be replaced while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

log = logging.getLogger(__name__)

MAX_BYTES = 1024 * 1024
"""Longest file that can be meant."""


class CertificateError(Exception):
    """A file that cannot be used: `part` is `cert`, `key` or `client_ca`, and the message says what was expected."""

    def __init__(self, part: str, expected: str) -> None:
        super().__init__(expected)
        self.part = part


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the PEM files are. With `client_ca` every client must show a certificate that one of those in it signed."""

    cert: Path
    """The certificate, then those between it and the root."""
    key: Path
    client_ca: Path | None = None

    def read(self) -> Pem:
        """Their content, not checked yet. CertificateError when it cannot be read."""
        return Pem(
            _content(self.cert, "cert"),
            _content(self.key, "key"),
            _content(self.client_ca, "client_ca") if self.client_ca else None,
        )


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files say."""

    cert: bytes
    key: bytes
    client_ca: bytes | None

    def check(self, used: Pem | None = None) -> None:
        """CertificateError unless the certificate is valid now, the key is its key, and a client's root is good.

        What is as in `used` was checked then: an expired certificate keeps no new roots out.
        """
        now = datetime.now(UTC)
        if used is None or (self.cert, self.key) != (used.cert, used.key):
            chain = _certificates(self.cert, "cert")
            _require_valid(chain[:1], "cert", now)
            if _public_key(self.key) != chain[0].public_key():
                raise CertificateError("key", "expected the private key of the certificate, and this is another one's")
        if self.client_ca is not None and (used is None or self.client_ca != used.client_ca):
            _require_valid(_certificates(self.client_ca, "client_ca"), "client_ca", now)

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(self.key, self.cert)], self.client_ca)


class ServerCertificates:
    """What new connections are shown. Those that are open live on with what they were shown."""

    def __init__(self, files: CertificateFiles) -> None:
        """CertificateError when the files cannot be used."""
        self._files = files
        self._pem = self._shown = files.read()
        self._pem.check()
        self._fault = ""

    @property
    def expiry(self) -> datetime:
        """When what new connections are shown ends."""
        return _certificates(self._pem.cert, "cert")[0].not_valid_after_utc

    def credentials(self) -> grpc.ServerCredentials:
        changed: Any = self._changed  # the stub does not know that it may answer None
        return grpc.dynamic_ssl_server_credentials(
            self._pem.configuration(), changed, require_client_authentication=self._files.client_ca is not None
        )

    async def reload(self) -> None:
        """Reads the files again. What cannot be used is logged once, and the certificate of before stays."""
        try:
            pem = self._files.read()
            if pem != self._pem:
                await asyncio.to_thread(pem.check, self._pem)
                self._pem = pem
                log.info("new connections are shown the new TLS certificate")
            self._fault = ""
        except CertificateError as error:
            fault = f"{error.part}: {error}"
            if fault != self._fault:
                log.error("the new TLS files cannot be used, the old ones stay in use: %s", fault)
            self._fault = fault

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC, in threads of its own, before every handshake; None for no change."""
        pem = self._pem
        if pem is self._shown:
            return None
        self._shown = pem
        return pem.configuration()


def _content(path: Path, part: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CertificateError(part, f"expected a readable file in PEM ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise CertificateError(part, f"expected a file in PEM of up to {MAX_BYTES} bytes")
    return content


def _certificates(pem: bytes, part: str) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateError(part, "expected certificates in PEM") from None


@lru_cache(maxsize=1)  # to check an RSA key takes up to half a second, and a wrong one is looked at every time
def _public_key(pem: bytes) -> PublicKeyTypes:
    try:
        return load_pem_private_key(pem, None).public_key()
    except TypeError:
        raise CertificateError("key", "expected a private key that is not encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("key", "expected a private key in PEM") from None


def _require_valid(certificates: Sequence[x509.Certificate], part: str, now: datetime) -> None:
    """At least one of them has to be valid: a file of roots may have old ones in it."""
    if all(each.not_valid_after_utc < now for each in certificates):
        last = max(each.not_valid_after_utc for each in certificates)
        raise CertificateError(part, f"expected a valid certificate, and this one ended {last:%Y-%m-%dT%H:%MZ}")
    if all(each.not_valid_before_utc > now for each in certificates):
        first = min(each.not_valid_before_utc for each in certificates)
        raise CertificateError(part, f"expected a valid certificate, and this one begins {first:%Y-%m-%dT%H:%MZ}")
