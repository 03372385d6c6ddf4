"""Puts the generated messages, which live beside the contract, into what is built; there is no copy of them here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GeneratedMessages(BuildHookInterface[Any]):
    """An editable installation needs none: it has their folder on its path."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        unpacked = Path(self.root) / "generated"  # where a source distribution has them
        generated = unpacked if unpacked.is_dir() else Path(self.root).parents[1] / "generated" / "python"
        folder = "generated/" if self.target_name == "sdist" else ""
        build_data["force_include"].update({str(generated / name): folder + name for name in ("stockward", "buf")})
