"""What speed costs and what it buys: one file a question, all of them asked by `make bench`.

Every benchmark runs on a PostgreSQL and a NATS of its own, both durable; servers, clients and what they are compared
with are processes of their own. See docs/how-to/contributor/benchmarks.md.
"""

import stockward_server  # noqa: F401 (before grpc, for what it sets there)
