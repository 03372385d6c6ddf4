"""PostgreSQL, NATS and Envoy as child processes: `stockward run` is made of them, and so are the tests.

async with Postgres(directory / "postgres") as postgres, Nats(directory / "nats") as nats:
    url = await postgres.create_database("shop")
"""

from stockward_dev.envoy import Envoy
from stockward_dev.nats import Nats
from stockward_dev.ports import free_port
from stockward_dev.postgres import Postgres
from stockward_dev.service import Service, StartError

__all__ = ["Envoy", "Nats", "Postgres", "Service", "StartError", "free_port"]
