"""Lists the licences of everything that is installed with the server.

`python tools/licences.py` writes docs/reference/licences.md
from the metadata of what `requirements.txt` pins, as it is installed here.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "docs" / "reference" / "licences.md"

BUILD = ("hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers")
"""They build the package and are no part of what runs."""

HEAD = """# Licences

Stockward is under the [Apache License 2.0](../../LICENSE). What is installed with it, by `make licences`:

| Package | Version | Licence |
|---|---|---|
"""
TAIL = f"\nOnly to build it: {', '.join(BUILD)}. Packages for other systems than Linux are left out.\n"

NAMES = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "PostgreSQL License": "PostgreSQL",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def licences() -> dict[str, tuple[str, str]]:
    """Version and licence of each pinned package that is installed."""
    text = (ROOT / "requirements.txt").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==[^ ;]+(?: ; ([^\\\n]+))?", text, re.MULTILINE)
    found: dict[str, tuple[str, str]] = {}
    for name, marker in pinned:
        if marker and not Marker(marker.strip()).evaluate():
            continue  # for another system, though a tool of ours may have brought it
        try:
            about = metadata(name)
        except PackageNotFoundError:
            continue
        found[name] = (about["Version"], _licence(about))
    return found


def document() -> str:
    """All of docs/reference/licences.md."""
    rows = [f"| {name} | {version} | {licence} |\n" for name, (version, licence) in licences().items()]
    return HEAD + "".join(rows) + TAIL


def _licence(about: PackageMetadata) -> str:
    """An SPDX expression where there is one; else what the classifiers or the old field say."""
    for expression in about.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [each for each in about.get_all("Classifier") or () if each.startswith("License :: ")]
    names = [each.rpartition(" :: ")[2] for each in classifiers if each != "License :: OSI Approved"]
    names = names or [text.strip().splitlines()[0] for text in about.get_all("License") or ("unknown",)]
    return " AND ".join(NAMES.get(each, each) for each in names)


if __name__ == "__main__":
    LIST.write_text(document())
    print(f"{LIST.relative_to(ROOT)} lists {len(licences())} packages")
