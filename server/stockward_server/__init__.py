"""Stockward: catalog, inventory and orders over gRPC, with durable events and webhooks."""

import os
from importlib.metadata import version

__version__ = version("stockward")

# Where a process is forked only to become another program, gRPC's doc/fork_support.md wants its fork handlers off: they
# start gRPC's threads in the child too, and every sixth child dies of that before it is the program. Read when grpc is
# imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
