"""The edge: Envoy, configured from the contract, in front of the gRPC servers.

It serves REST by the contract's `google.api.http` annotations, gRPC and gRPC-Web on one port. This package only builds
the configuration, as a value; `stockward run` starts an Envoy with it, `stockward edge config` prints it.
"""

from stockward_server.edge.config import envoy_config
from stockward_server.edge.contract import installed_contract
from stockward_server.edge.pages import CONSOLE, console, pages
from stockward_server.edge.parts import Limits, Page
from stockward_server.edge.tls import EdgeTls, TlsFiles, secret_files

__all__ = [
    "CONSOLE",
    "EdgeTls",
    "Limits",
    "Page",
    "TlsFiles",
    "console",
    "envoy_config",
    "installed_contract",
    "pages",
    "secret_files",
]
