"""A PgBouncer of our own, from the program of the Debian package."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from stockward_dev import Postgres, Service, free_port

PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")


def version() -> tuple[int, ...]:
    """Such as (1, 24, 1); (0,) where there is none."""
    if PROGRAM is None:
        return (0,)
    told = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, told.split()[1].split(".")))


class PgBouncer(Service):
    """PgBouncer before `postgres`. It runs as PostgreSQL's user, who alone can reach its socket."""

    def __init__(self, postgres: Postgres, directory: Path, *, mode: str, sessions: int, further: str = "") -> None:
        """`mode` is `transaction` or `session`, `sessions` how many it uses of PostgreSQL; `further`: more settings."""
        super().__init__("PgBouncer", log=directory / "pgbouncer.log", lock=directory / "pgbouncer.lock")
        self._postgres = postgres
        self._file = directory / "pgbouncer.ini"
        self._port = free_port()
        self._settings = f"pool_mode = {mode}\ndefault_pool_size = {sessions}\n{further}"

    def url(self, database_url: str) -> str:
        """The address through it of a database at `database_url`."""
        return f"postgresql://stockward@127.0.0.1:{self._port}{urlsplit(database_url).path}"

    async def prepare(self) -> None:
        place = {name: values[0] for name, values in parse_qs(urlsplit(self._postgres.url()).query).items()}
        self._file.write_text(
            f"[databases]\n* = host={place['host']} port={place['port']} user=stockward\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\nunix_socket_dir =\nauth_type = any\n"
            f"{self._settings}\n"
        )
        self._file.chmod(0o644)

    async def lead_to(self, postgres: Postgres) -> None:
        """Uses another server from now on."""
        self._postgres = postgres
        await self.prepare()
        assert self.pid is not None
        os.kill(self.pid, signal.SIGHUP)

    def command(self) -> list[str]:
        assert PROGRAM is not None
        return [PROGRAM, str(self._file)]

    def user(self) -> str:
        return self._postgres.user()

    def directory(self) -> Path:
        return Path("/")

    async def is_ready(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True
