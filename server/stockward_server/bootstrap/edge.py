"""Builds Envoy's configuration from the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stockward_server import edge
from stockward_server.bootstrap.transport import named_by_variable
from stockward_server.config import Plaintext, Settings, SettingsError, is_loopback, variable
from stockward_server.runtime.certificates import CertificateFiles


def check_edge(settings: Settings) -> None:
    """Raises SettingsError where the edge may not listen at its address without TLS, or TLS files cannot be used."""
    _edge_tls(settings, [settings.grpc_address], Path())
    with named_by_variable("edge_tls_"):
        if settings.edge_tls_cert and settings.edge_tls_key:
            CertificateFiles(settings.edge_tls_cert, settings.edge_tls_key, settings.edge_tls_client_ca).read().check()


def edge_files(
    settings: Settings,
    upstreams: Sequence[str] = (),
    origins: Sequence[str] = ("*",),
    directory: Path = Path(),
) -> Mapping[str, Any]:
    """Returns Envoy's files for `directory`, by name: `envoy.json`, listening on `edge_address` in front of `upstreams`
    (HOST:PORT each, by default the server of the settings), and its secrets if there is TLS. Pages of `origins` may
    call it (CORS). Raises SettingsError where TLS is required and missing."""
    upstreams = upstreams or [settings.grpc_address]
    tls = _edge_tls(settings, upstreams, directory)
    configuration = edge.envoy_config(
        edge.installed_contract(),
        settings.edge_address,
        upstreams,
        pages=[*edge.pages(), *(edge.console() if settings.serves_console else ())],
        origins=origins,
        limits=edge.Limits(
            body_bytes=settings.max_message_bytes,
            connections_per_address=settings.edge_connections_per_address,
            keyless_per_second=settings.edge_keyless_per_second,
            calls_per_second=settings.edge_calls_per_second,
            proxies=settings.edge_proxies,
        ),
        tls=tls,
    )
    return {"envoy.json": configuration, **edge.secret_files(tls)}


def _edge_tls(settings: Settings, upstreams: Sequence[str], directory: Path) -> edge.EdgeTls:
    settings.refuse_plaintext("edge_address", "edge_tls_cert")
    for field, needed_by in (("server_ca", "tls_cert"), ("client_cert", "tls_client_ca")):
        if getattr(settings, needed_by) and not getattr(settings, field):
            raise SettingsError([f"{variable(field)}: required for the edge where {variable(needed_by)} is set"])
    if not settings.server_ca and settings.plaintext is not Plaintext.ANYWHERE:
        for each in upstreams:
            if not is_loopback(each):
                raise SettingsError(
                    [
                        f"STOCKWARD_SERVER_CA: required for TLS to the server {each}, which is on another machine; or "
                        "set STOCKWARD_PLAINTEXT=anywhere"
                    ]
                )

    def files(*fields: str) -> edge.TlsFiles:
        paths: list[Path | None] = [getattr(settings, field) for field in fields]
        return edge.TlsFiles(*(path.absolute() if path else None for path in paths))

    return edge.EdgeTls(
        callers=files("edge_tls_cert", "edge_tls_key", "edge_tls_client_ca") if settings.edge_tls_cert else None,
        servers=files("client_cert", "client_key", "server_ca") if settings.server_ca else None,
        directory=directory.absolute(),
    )
