"""TLS of the gRPC server, from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stockward_server.config import Settings, SettingsError, variable
from stockward_server.runtime.certificates import CertificateError, CertificateFiles, ServerCertificates


@contextmanager
def named_by_variable(prefix: str) -> Iterator[None]:
    """Converts CertificateError to SettingsError that names the variable; `prefix` begins the name of its field."""
    try:
        yield
    except CertificateError as error:
        raise SettingsError([f"{variable(prefix + error.part)}: {error}"]) from None


def certificates_of(settings: Settings) -> ServerCertificates | None:
    """Returns the server's certificates, None without TLS. Raises SettingsError when the files cannot be used, or TLS
    is required and missing."""
    settings.refuse_plaintext("grpc_address", "tls_cert")
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    with named_by_variable("tls_"):
        return ServerCertificates(CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca))


def check_transport(settings: Settings) -> None:
    """Raises SettingsError where the server may not listen at its address without TLS, or TLS files cannot be used."""
    certificates_of(settings)
