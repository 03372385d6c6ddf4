"""Processes whose own clock is wrong."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("wrong_clock.c")


def wrong_clock(directory: Path) -> Path | None:
    """The library, built in `directory`; None where there is no C compiler, or another kind of loader."""
    compiler, library = shutil.which("cc"), directory / "wrong_clock.so"
    if compiler is None:
        return None
    build = [compiler, "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    return library if subprocess.run(build, capture_output=True, check=False).returncode == 0 else None


class Clock:
    """That of a process, which is `seconds` fast; negative where it is slow."""

    def __init__(self, library: Path, name: str, seconds: int) -> None:
        self.seconds = seconds
        self._library = library
        self._file = library.with_name(f"{name}.clock")
        self._file.write_bytes(struct.pack("q", seconds))

    @property
    def variables(self) -> Mapping[str, str]:
        """For the environment of the process."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_FILE": str(self._file)}

    def turn(self, seconds: int) -> None:
        """From now on it is off by so much."""
        with self._file.open("r+b") as file:  # which is never shorter: processes have it mapped
            file.write(struct.pack("q", seconds))
