"""TLS of the edge: secrets in files that Envoy watches, so that they can be replaced while it runs.

Envoy reads a certificate in the configuration itself once; it reads a secret (SDS) again when a file is moved into its
directory. So each secret is a small file beside the configuration, which names the PEM files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from stockward_server.edge.parts import typed

TLS = "envoy.extensions.transport_sockets.tls.v3"


@dataclass(frozen=True)
class TlsFiles:
    """PEM files, by absolute paths."""

    cert: Path | None = None
    """Certificate for the other side; requires `key`."""
    key: Path | None = None
    """Private key of `cert`."""
    ca: Path | None = None
    """Roots of the other side's certificate, which is then required."""


@dataclass(frozen=True)
class EdgeTls:
    """TLS with callers and with servers; None for plaintext."""

    callers: TlsFiles | None = None
    servers: TlsFiles | None = None
    directory: Path = Path()
    """Directory of the files of `secret_files`."""


def secret_files(tls: EdgeTls) -> Mapping[str, Any]:
    """Returns the content of the files for the directory, by name."""
    secrets = {}
    for side, files in (("callers", tls.callers), ("servers", tls.servers)):
        if files and files.cert and files.key:
            secrets[f"{side}-certificate"] = {
                "tls_certificate": {
                    "certificate_chain": _file(files.cert),
                    "private_key": _file(files.key),
                    "watched_directory": {"path": str(files.cert.parent)},
                }
            }
        if files and files.ca:
            secrets[f"{side}-roots"] = {
                "validation_context": {
                    "trusted_ca": _file(files.ca),
                    "watched_directory": {"path": str(files.ca.parent)},
                }
            }
    kind = f"type.googleapis.com/{TLS}.Secret"
    return {
        f"{name}.json": {"resources": [{"@type": kind, "name": name, **secret}]} for name, secret in secrets.items()
    }


def downstream(tls: EdgeTls) -> dict[str, Any]:
    """Returns the listener's `transport_socket`; empty for plaintext."""
    if tls.callers is None:
        return {}
    context: dict[str, Any] = {
        **_parameters(["h2", "http/1.1"]),
        "tls_certificate_sds_secret_configs": [_secret(tls, "callers-certificate")],
    }
    if tls.callers.ca:
        context["validation_context_sds_secret_config"] = _secret(tls, "callers-roots")
    return _socket("DownstreamTlsContext", context, require_client_certificate=tls.callers.ca is not None)


def upstream(tls: EdgeTls, servers: Sequence[str]) -> dict[str, Any]:
    """Returns the cluster's `transport_socket`; empty for plaintext. A server's certificate must be valid for one of
    `servers` (HOST:PORT each)."""
    if tls.servers is None:
        return {}
    hosts = sorted({server.rpartition(":")[0].strip("[]") for server in servers})
    context: dict[str, Any] = {
        **_parameters(["h2"]),
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [_name(host) for host in hosts]},
            "validation_context_sds_secret_config": _secret(tls, "servers-roots"),
        },
    }
    if tls.servers.cert:
        context["tls_certificate_sds_secret_configs"] = [_secret(tls, "servers-certificate")]
    return _socket("UpstreamTlsContext", context)


def _parameters(protocols: Sequence[str]) -> dict[str, Any]:
    return {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}, "alpn_protocols": protocols}


def _socket(kind: str, context: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "transport_socket": typed("envoy.transport_sockets.tls", f"{TLS}.{kind}", common_tls_context=context, **fields)
    }


def _secret(tls: EdgeTls, name: str) -> dict[str, Any]:
    path = str(tls.directory / f"{name}.json")
    return {"name": name, "sds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"}}


def _file(path: Path) -> dict[str, Any]:
    return {"filename": str(path)}


def _name(host: str) -> dict[str, Any]:
    try:
        ip_address(host)
    except ValueError:
        return {"san_type": "DNS", "matcher": {"exact": host}}
    return {"san_type": "IP_ADDRESS", "matcher": {"exact": host}}
