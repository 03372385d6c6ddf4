"""A certificate authority to test TLS with: a root of its own, and certificates by it, in files."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Pair = tuple[x509.Certificate, Key]

DAY = timedelta(days=1)


def signed(
    name: str, by: Pair | None = None, begins: timedelta = -DAY, ends: timedelta = DAY, key: Key | None = None
) -> Pair:
    """A certificate for this machine; without `by` it is a root."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            by[0].subject if by else subject,
            subject,
            key.public_key(),
            x509.random_serial_number(),
            now + begins,
            now + ends,
        )
        .add_extension(x509.BasicConstraints(by is None, None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]), False
        )
        .sign(by[1] if by else key, hashes.SHA256())
    )
    return certificate, key


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def pem_of_key(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """A root, and certificates by it as `<file>.pem` and `<file>.key` in a directory."""

    def __init__(self, directory: Path, name: str = "root") -> None:
        self.directory = directory
        self._root = signed(name)
        self.ca = directory / f"{name}-ca.pem"
        put(self.ca, pem_of(self._root[0]))

    def issue(
        self, file: str, name: str, begins: timedelta = -DAY, ends: timedelta = DAY, key: Key | None = None
    ) -> tuple[Path, Path]:
        """Certificate and key for `name`, in place of those that were in these files."""
        certificate, key = signed(name, self._root, begins, ends, key)
        cert_file, key_file = self.directory / f"{file}.pem", self.directory / f"{file}.key"
        put(key_file, pem_of_key(key))
        put(cert_file, pem_of(certificate))
        return cert_file, key_file


def put(file: Path, content: bytes) -> None:
    """Writes it whole or not at all, as anyone who renews certificates does."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, file)
