"""What a program says it was built from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from stockward_server.runtime import build


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    author = ("-c", "user.name=A", "-c", "user.email=a@b.example")
    (tmp_path / "file").write_text("one")
    for command in (["init"], ["add", "file"], [*author, "commit", "--message", "one"], ["tag", "v1"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True, capture_output=True)
    return tmp_path


def test_a_checkout_is_described_by_its_commit(checkout: Path) -> None:
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert build.described(checkout) == head.stdout[:12]
    (checkout / "file").write_text("two")
    assert build.described(checkout) == f"{head.stdout[:12]}-dirty"


def test_what_is_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert build.described(tmp_path) == build.described(tmp_path / "absent") == "unknown"


def test_this_program_knows_its_commit() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", build.commit())


def test_the_record_of_an_installation_goes_before_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "COMMIT").write_text("0123456789ab\n")
    monkeypatch.setattr(build, "RECORD", tmp_path / "COMMIT")
    assert build.commit.__wrapped__() == "0123456789ab"
