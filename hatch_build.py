"""Writes the commit into what is built, so that an installed program can report it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RECORD = "stockward_server/COMMIT"
DESCRIBE = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


class Commit(BuildHookInterface[Any]):
    """An editable installation needs none: the program asks git itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard" or (Path(self.root) / "server" / RECORD).exists():  # a source distribution has it
            return
        self._folder = tempfile.TemporaryDirectory()
        record = Path(self._folder.name) / "COMMIT"
        record.write_text(f"{self._commit()}\n")
        folder = "server/" if self.target_name == "sdist" else ""
        build_data["force_include"][str(record)] = folder + RECORD

    def _commit(self) -> str:
        """Returns SOURCE_COMMIT where it is set, as in an image, which is built without git."""
        if named := os.environ.get("SOURCE_COMMIT"):
            return named
        try:
            return subprocess.run(DESCRIBE, cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
