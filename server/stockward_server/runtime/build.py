"""What this program was built from."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

RECORD = PACKAGE / "COMMIT"
"""The commit as `hatch_build.py` wrote it into a wheel or a source distribution."""

UNKNOWN = "unknown"

SECONDS = 5.0
"""Timeout of git."""


@cache
def commit() -> str:
    """Returns the commit in 12 hexadecimal digits, with `-dirty` if the files differed from it; `unknown` where the
    build had no git. In a checkout it is looked up when it is first asked for."""
    if RECORD.exists():
        return RECORD.read_text().strip()
    checkout = PACKAGE.parents[1]
    return described(checkout) if (checkout / ".git").exists() else UNKNOWN


def described(checkout: Path) -> str:
    """Returns the commit of a checkout as git describes it; `unknown` if that fails."""
    command = ("git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return found or UNKNOWN
