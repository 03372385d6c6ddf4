"""What is installed: pinned, known by its licence, and without addresses of where it was fetched from."""

from __future__ import annotations

import re
from pathlib import Path

from tools.licences import BUILD, LIST, document, licences

ROOT = Path(__file__).resolve().parents[2]

PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0", "PostgreSQL"),
    *("Unlicense", "Zlib", "CC0-1.0"),
}


def test_the_licences_are_listed() -> None:
    assert LIST.read_text() == document(), "run `make licences` and commit what it wrote"


def test_whatever_runs_is_permissively_licensed() -> None:
    """A licence that asks more of who ships Stockward than to name it must not come in unnoticed."""
    found = licences()
    assert len(found) > 40
    strict = {
        name: licence
        for name, (_, licence) in found.items()
        if name not in BUILD and not set(re.split(r" (?:AND|OR|WITH) |[()]", licence)) - {""} <= PERMISSIVE
    }
    assert not strict


def test_every_requirement_is_pinned_by_hash_and_names_no_place() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        entries = re.split(r"\n(?=[a-z0-9])", text[text.index("\n", text.index("make lock")) :].strip())
        assert len(entries) > 40
        assert not [each for each in entries if "==" not in each or "--hash=sha256:" not in each]
        assert "://" not in text
