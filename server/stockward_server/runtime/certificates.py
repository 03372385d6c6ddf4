"""The server's certificate, read from files that may be replaced while it runs."""

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
"""Maximum size of a file, in bytes."""


class CertificateError(Exception):
    """A file that cannot be used: `part` is `cert`, `key` or `client_ca`, and the message says what was expected."""

    def __init__(self, part: str, expected: str) -> None:
        super().__init__(expected)
        self.part = part


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of PEM files. With `client_ca` every client must present a certificate issued by one of its roots."""

    cert: Path
    """The certificate, then its intermediates."""
    key: Path
    """The private key, not encrypted."""
    client_ca: Path | None = None
    """Roots of clients' certificates."""

    def read(self) -> Pem:
        """Returns the content of the files, not checked yet. Raises CertificateError when one cannot be read."""
        return Pem(
            _content(self.cert, "cert"),
            _content(self.key, "key"),
            _content(self.client_ca, "client_ca") if self.client_ca else None,
        )


@dataclass(frozen=True, slots=True)
class Pem:
    """Content of the files of CertificateFiles."""

    cert: bytes
    key: bytes
    client_ca: bytes | None

    def check(self, used: Pem | None = None) -> None:
        """Raises CertificateError unless the certificate is valid now, the key is its key, and a client root is valid.

        Parts that are the same as in `used` are not checked again, so that an expired certificate does not prevent new
        roots.
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
        """Returns the configuration for gRPC."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.cert)], self.client_ca)


class ServerCertificates:
    """The certificate and roots of new connections. Open connections keep theirs."""

    def __init__(self, files: CertificateFiles) -> None:
        """Reads and checks the files. Raises CertificateError when they cannot be used."""
        self._files = files
        self._pem = self._shown = files.read()
        self._pem.check()
        self._fault = ""

    @property
    def expiry(self) -> datetime:
        """End of validity of the certificate for new connections, in UTC."""
        return _certificates(self._pem.cert, "cert")[0].not_valid_after_utc

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials that use the files read last for each new connection."""
        changed: Any = self._changed  # the type stub does not allow None as a result
        return grpc.dynamic_ssl_server_credentials(
            self._pem.configuration(), changed, require_client_authentication=self._files.client_ca is not None
        )

    async def reload(self) -> None:
        """Reads the files again. Files that cannot be used are logged once, and those in use stay."""
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
        """Returns the new configuration, None without a change. gRPC calls it in its own threads before handshakes."""
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


@lru_cache(maxsize=1)  # checking an RSA key takes up to half a second, and a wrong one is checked at every reload
def _public_key(pem: bytes) -> PublicKeyTypes:
    try:
        return load_pem_private_key(pem, None).public_key()
    except TypeError:
        raise CertificateError("key", "expected a private key that is not encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("key", "expected a private key in PEM") from None


def _require_valid(certificates: Sequence[x509.Certificate], part: str, now: datetime) -> None:
    """Raises CertificateError unless one of the certificates is valid: a file of roots may contain expired ones."""
    if all(each.not_valid_after_utc < now for each in certificates):
        last = max(each.not_valid_after_utc for each in certificates)
        raise CertificateError(part, f"expected a valid certificate, and this one ended {last:%Y-%m-%dT%H:%MZ}")
    if all(each.not_valid_before_utc > now for each in certificates):
        first = min(each.not_valid_before_utc for each in certificates)
        raise CertificateError(part, f"expected a valid certificate, and this one begins {first:%Y-%m-%dT%H:%MZ}")
