"""Processes whose own clock is wrong."""

from __future__ import annotations

import shutil
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


def set_wrong(library: Path, seconds: int) -> Mapping[str, str]:
    """Environment variables of a process whose clock is to be fast by so many seconds."""
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(seconds)}
