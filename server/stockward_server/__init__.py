"""Stockward: catalog, inventory and orders over gRPC, with durable events and webhooks."""

from __future__ import annotations

import os

__version__: str
"""Of the distribution; looked up when it is asked for."""

# gRPC's fork handlers start its threads again in the child, for programs that go on with gRPC there. Ours are only ever
# forked to become another program, and now and then the child dies of those threads first. Read when grpc is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("stockward")
