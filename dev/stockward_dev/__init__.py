"""PostgreSQL, NATS and Envoy as child processes: `stockward run` is made of them, and so are the tests.

async with Postgres(directory / "postgres") as postgres, Nats(directory / "nats") as nats:
    url = await postgres.create_database("shop")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stockward_dev.envoy import Envoy
    from stockward_dev.nats import Nats
    from stockward_dev.ports import free_port
    from stockward_dev.postgres import Postgres
    from stockward_dev.service import Service, StartError

__all__ = ["Envoy", "Nats", "Postgres", "Service", "StartError", "free_port"]

_MODULES = {
    "Envoy": "envoy",
    "Nats": "nats",
    "Postgres": "postgres",
    "Service": "service",
    "StartError": "service",
    "free_port": "ports",
}


def __getattr__(name: str) -> Any:
    """Imports a module on first use, so that the list of commands needs none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
