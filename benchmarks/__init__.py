"""Benchmarks: one file a question, all run by `make bench`.

Every benchmark has its own durable PostgreSQL and NATS; servers, clients and baselines run in separate processes. See
docs/how-to/contributor/benchmarks.md.
"""

import stockward_server  # noqa: F401 (before grpc, for what it sets there)
