"""Earlier states of this repository, whose programs are started beside the present ones."""

from __future__ import annotations

import asyncio
import os
import tarfile
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Failure

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ("server", "clients/python", "generated/python", "dev")
"""Directories of a checkout that Python imports from."""


@dataclass(frozen=True, slots=True)
class Release:
    """The source of a commit, without its history."""

    name: str
    directory: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """Returns the variables with which a Python program imports this source instead of what is installed."""
        return {"PYTHONPATH": os.pathsep.join(str(self.directory / package) for package in PACKAGES)}


@asynccontextmanager
async def released(commit: str) -> AsyncIterator[Release]:
    """Yields the source of a commit, in a temporary directory. Raises Failure where this clone does not have it."""
    with tempfile.TemporaryDirectory(prefix="stockward-release-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        archive = directory / "source.tar"
        process = await asyncio.create_subprocess_exec(
            *("git", "archive", f"--output={archive}", commit, *PACKAGES),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode:
            raise Failure(f"the source of {commit} cannot be had: {errors.decode().strip()}")
        with tarfile.open(archive) as files:
            files.extractall(directory, filter="data")
        archive.unlink()
        yield Release(commit[:7], directory)
