"""TLS files of the settings, where they can be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stockward_server.config import Settings, SettingsError, variable
from stockward_server.runtime.certificates import CertificateError, CertificateFiles, ServerCertificates


@contextmanager
def told_by_variable(prefix: str) -> Iterator[None]:
    """Files that cannot be used are reported as the settings that name them."""
    try:
        yield
    except CertificateError as error:
        raise SettingsError([f"{variable(prefix + error.part)}: {error}"]) from None


def certificates_of(settings: Settings) -> ServerCertificates | None:
    """The server's TLS files, where it has some; SettingsError when they cannot be used, or are missing and needed."""
    settings.refuse_plaintext("grpc_address", "tls_cert")
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    with told_by_variable("tls_"):
        return ServerCertificates(CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca))


def check_transport(settings: Settings) -> None:
    """SettingsError where the server may not listen as it is set, or its TLS files cannot be used."""
    certificates_of(settings)
