"""A primary and its standby, as processes of their own, on loopback: to be stopped, killed, promoted and rejoined."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg

from stockward_dev import Postgres, free_port

OWNER = "stockward"


class Member(Postgres):
    """One of two servers that replicate: a primary, or a standby that is copied from it on its first start."""

    _ready_states = ("ready", "standby")

    def __init__(self, directory: Path, name: str, primary: Member | None = None, *, synchronous: bool = True) -> None:
        """`synchronous`: whether a primary acknowledges nothing that its standby lacks."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "shared_buffers": "32MB"}
        settings |= {"wal_keep_size": "512MB", "wal_log_hints": "on", "wal_retrieve_retry_interval": "100ms"}
        if primary is None and synchronous:
            settings["synchronous_standby_names"] = "standby"
        # The "+" keeps the socket out of the data directory, which pg_rewind reads as a whole.
        super().__init__(directory / f"{name}+", settings=settings)
        self.name = name
        self._primary = primary

    @property
    def port(self) -> str:
        return self.settings["port"]

    @property
    def tcp_url(self) -> str:
        """The address of this server alone."""
        return several(self)

    def follows(self, primary: Member) -> None:
        """Makes it a standby of `primary` from its next start on."""
        self._primary = primary
        self.settings = {**self.settings, "primary_conninfo": primary.conninfo}
        self.settings.pop("synchronous_standby_names", None)

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={OWNER} application_name=standby"

    def _filling(self, directory: Path) -> list[str]:
        if self._primary is None:
            return super()._filling(directory)
        return [
            *(str(self._programs / "pg_basebackup"), "--pgdata", str(directory), "--dbname", self._primary.conninfo),
            *("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"),
        ]

    async def promote(self) -> None:
        """Makes a standby the primary; returns once it takes writes."""
        await self.run("SELECT pg_promote(true, 30)")

    async def run(self, sql: str) -> object:
        """Returns the value of a statement on this server."""
        connection = await asyncpg.connect(self.url(), timeout=10)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    async def stand_still(self) -> None:
        """Stops all its processes where they are, as if its machine hung; connections stay open."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    async def go_on(self) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):  # one that goes on may end at once
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """The postmaster first, which would start processes again."""
        assert self.pid is not None
        of_postmaster = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{of_postmaster}/task/{of_postmaster}/children").read_text().split()
        return [of_postmaster, *map(int, children)]

    async def rewind(self, primary: Member) -> None:
        """Makes a former primary a standby of the new one: it loses what that one never had."""
        await self._as_owner(
            "pg_rewind", f"--target-pgdata={self._data}", f"--source-server={primary.conninfo} dbname=postgres"
        )
        owner = self._data.stat()
        (self._data / "standby.signal").touch()
        os.chown(self._data / "standby.signal", owner.st_uid, owner.st_gid)
        self.follows(primary)

    def discard(self, primary: Member) -> None:
        """Deletes all that a former primary has: on its next start it is copied from the new one."""
        for each in self._data.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        self.follows(primary)

    async def _as_owner(self, program: str, *arguments: str) -> None:
        owner, other = self._data.stat(), self._user != "-"
        process = await asyncio.create_subprocess_exec(
            *(str(self._programs / program), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            user=owner.st_uid if other else None,
            group=owner.st_gid if other else None,
            extra_groups=[] if other else None,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()


def several(*members: Member, form: str = "address") -> str:
    """The URL with these servers as hosts, in this order: in its address, or (`query`) in its parameters."""
    if form == "address":
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in members)
        return f"postgresql://{OWNER}@{hosts}/postgres"
    ports = ",".join(member.port for member in members)
    hosts = ",".join("127.0.0.1" for _ in members)
    return f"postgresql://{OWNER}@/postgres?host={hosts}&port={ports}"


async def in_step(primary: Member) -> bool:
    """Whether a synchronous standby is connected."""
    return bool(await primary.run("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"))


@asynccontextmanager
async def replicated(*, synchronous: bool = True) -> AsyncIterator[tuple[Member, Member]]:
    """A primary and its standby, empty; their data are deleted afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-"))
    directory.chmod(0o711)  # PostgreSQL may run as another user, who must pass
    primary = Member(directory, "primary", synchronous=synchronous)
    standby = Member(directory, "standby", primary)
    try:
        async with primary, standby:
            yield primary, standby
    finally:
        shutil.rmtree(directory)
