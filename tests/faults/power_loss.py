"""A disk that loses what was not flushed when the power fails: ext4 on a file, shut down with its journal unwritten."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EXT4_IOC_SHUTDOWN = 0x8004587D
"""_IOR('X', 125, __u32): ends all input and output of the file system at once."""

WITHOUT_JOURNAL = struct.pack("I", 2)
"""EXT4_GOING_FLAGS_NOLOGFLUSH"""

COMMIT_SECONDS = 300
"""The file system writes nothing by itself for so long; only what is flushed is on the disk."""


class NoSuchDisk(Exception):
    """This machine does not allow to make one."""


class Disk:
    """A mounted file system."""

    def __init__(self, directory: Path) -> None:
        self._image = directory / "image"
        self.path = directory / "mounted"

    def make(self, size: str = "4G") -> None:
        """Raises NoSuchDisk."""
        self.path.mkdir()
        for command in (["truncate", "-s", size, str(self._image)], ["mkfs.ext4", "-q", "-F", str(self._image)]):
            _run(*command)
        self.mount()
        self.path.chmod(0o711)  # PostgreSQL may run as another user, who must pass

    def mount(self) -> None:
        _run("mount", "-o", f"loop,commit={COMMIT_SECONDS},noauto_da_alloc", str(self._image), str(self.path))

    def lose_power(self) -> None:
        """Nothing more reaches the disk, and what was not flushed is gone."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, WITHOUT_JOURNAL)
        finally:
            os.close(descriptor)

    async def unmount(self) -> None:
        """Raises TimeoutError, which names the processes that still use it."""
        try:
            async with asyncio.timeout(60):
                while (await asyncio.to_thread(_unmount, self.path)).returncode:
                    await asyncio.sleep(0.05)  # the last of the processes that were killed may still have a file open
        except TimeoutError as error:
            raise TimeoutError(f"{self.path} is in use: {_users(self.path)}") from error


def _users(path: Path) -> list[str]:
    """Returns the names of the processes that have a file below `path` open, or work there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            links = [process / "cwd", *(process / "fd").iterdir()]
            if any(os.readlink(each).startswith(str(path)) for each in links):
                found.append((process / "comm").read_text().strip())
    return found


def _unmount(path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["umount", str(path)], capture_output=True, check=False)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoSuchDisk(str(error)) from error
    if done.returncode:
        raise NoSuchDisk(f"{command[0]}: {done.stderr.strip()}")


@contextmanager
def forgetful_disk() -> Iterator[Disk]:
    """Makes such a disk, which is deleted afterwards. Raises NoSuchDisk."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-power-"))
    directory.chmod(0o711)
    disk = Disk(directory)
    try:
        disk.make()
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk.path)], capture_output=True, check=False)
        shutil.rmtree(directory, ignore_errors=True)
