"""`stockward serve` as a process of its own, which a test may stop, kill and start again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stockward_dev import free_port
from stockward_dev.worker import Worker
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import grpc_serves


class ServerProcess(Worker):
    """On a free port, with the database and the NATS of `settings` and further `variables` in its environment."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        name: str = "server",
        *,
        variables: Mapping[str, str] | None = None,
        stop_within: float = 5.0,
    ) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(
            name,
            "serve",
            variables={
                variable("database_url"): settings.database_url.get_secret_value(),
                variable("event_queue_url"): settings.event_queue_url.get_secret_value(),
                variable("grpc_address"): self.address,
                **(variables or {}),
            },
            ready=lambda: grpc_serves(self.address),
            stop_within=stop_within,
            log=folder / f"{name}.log",
            lock=folder / f"{name}.lock",
        )
