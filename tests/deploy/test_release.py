"""How a release is cut: one version everywhere, a dated changelog, and nothing that cannot be taken back."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.deploy.distributions import clone
from tools import release

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-01-02\n\n- Another.\n"


def test_what_is_unreleased_comes_under_the_version() -> None:
    assert release.cut(CHANGELOG, "0.2.0", date(2026, 12, 1)) == CHANGELOG.replace(
        "## [Unreleased]\n", "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n"
    )


@pytest.mark.parametrize("text", [CHANGELOG.replace("- A thing.\n", ""), "# Changelog\n"])
def test_without_a_change_there_is_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="nothing under"):
        release.cut(text, "0.2.0", date(2026, 12, 1))


def git(checkout: Path, *arguments: str) -> str:
    author = ("-c", "user.name=A", "-c", "user.email=a@b.example")
    return subprocess.run(
        ["git", "-C", checkout, *author, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_a_release_has_one_version_and_leaves_the_rest_to_people(tmp_path: Path) -> None:
    checkout = clone(tmp_path)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "all")
    former = release.current(checkout)
    for version, why in (("1.0", "no version"), ("0.0.9", "older than")):
        with pytest.raises(ValueError, match=why):
            release.check(checkout, version)
    release.check(checkout, former)
    release.check(checkout, "7.8.9")
    git(checkout, "tag", "v7.8.9")
    with pytest.raises(ValueError, match="released already"):
        release.check(checkout, "7.8.9")
    release.set_version(checkout, "7.8.10")
    with pytest.raises(ValueError, match="not committed"):
        release.check(checkout, "7.8.11")
    changed = {line.partition("\t")[2] for line in git(checkout, "diff", "--raw").splitlines()}
    assert changed == {
        *release.PROJECTS,
        *release.PACKAGES,
        *(name for names in release.PLACES.values() for name in names),
    }
    pattern = rf"(?i)(?:stockward|newTag|version)[^\n]*[^\d.]{re.escape(former)}(?![\d.])"
    kept = [name for name in changed if not name.endswith("lock.json")]
    assert not [name for name in kept if re.search(pattern, (checkout / name).read_text())]
    assert git(checkout, "log", "--oneline") == git(checkout, "log", "--oneline", "v7.8.9"), "nothing is committed"
