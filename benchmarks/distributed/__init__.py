"""What a distributed PostgreSQL (Citus) would make of Stockward: `python -m benchmarks.distributed`.

Reads every statement of the storage package, holds each against the limits that Citus documents, and simulates what
commits in two phases would cost. Nothing of Citus runs here.
"""
