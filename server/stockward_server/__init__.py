"""Stockward: catalog, inventory and orders over gRPC, with durable events and webhooks."""

import os
from importlib.metadata import version

__version__ = version("stockward")

# gRPC's fork handlers start its threads again in the child, for programs that go on with gRPC there. Ours are only ever
# forked to become another program, and now and then the child dies of those threads first. Read when grpc is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
