"""Cut a release: `python tools/release.py 0.2.0` sets the version everywhere and dates the changelog.

It commits, tags and publishes nothing: it prints the commands that do.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PROJECTS = ("pyproject.toml", "dev/pyproject.toml", "clients/python/pyproject.toml", "generated/python/pyproject.toml")

PACKAGES = ("clients/typescript/package.json", "clients/typescript/package-lock.json")

PLACES = {
    r'(^version = "){}(?=")': PROJECTS,
    r'("stockward[\w-]*(?:\[\w+\])?==){}(?=")': PROJECTS,
    r"(\bstockward:){}(?=\s)": ("deploy/Dockerfile", "deploy/README.md", "deploy/compose.yaml"),
    r"(\bnewTag: ){}(?=\s)": ("deploy/kubernetes/kustomization.yaml",),
    r"(^version: ){}(?=\s)": ("deploy/helm/Chart.yaml",),
    r'(^appVersion: "){}(?=")': ("deploy/helm/Chart.yaml",),
    r'("version": "){}(?=")': ("generated/python/stockward/openapi.json",),
}
"""Files with the version, by the pattern of what stands around it."""

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")

UNRELEASED = "## [Unreleased]"


def main(version: str) -> None:
    """Prepare the release in the work tree, and say what remains to be done."""
    try:
        check(ROOT, version)
        set_version(ROOT, version)
        changelog = ROOT / "CHANGELOG.md"
        changelog.write_text(cut(changelog.read_text(), version, datetime.now(UTC).date()))
    except ValueError as error:
        sys.exit(f"Nothing was changed: {error}")
    print(
        f"Version {version} is set and the changelog is dated. Look at `git diff`, then:\n"
        f"  make check\n"
        f"  git commit --all --message 'Release {version}'\n"
        f"  git tag --annotate v{version} --message 'Stockward {version}'\n"
        f"  make dist        # .build/dist has what is published\n"
        f"  git push --follow-tags"
    )


def check(root: Path, version: str) -> None:
    """Raise ValueError unless `version` may be released from here."""
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version} is no version such as 0.2.0")
    if git(root, "status", "--porcelain"):
        raise ValueError("there are changes that are not committed")
    if git(root, "tag", "--list", f"v{version}"):
        raise ValueError(f"v{version} is released already")
    if numbers(version) < numbers(current(root)):
        raise ValueError(f"{version} is older than {current(root)}")
    cut((root / "CHANGELOG.md").read_text(), version, date.min)


def current(root: Path) -> str:
    """Return the version of the checkout."""
    version: str = json.loads((root / PACKAGES[0]).read_text())["version"]
    return version


def numbers(version: str) -> tuple[int, ...]:
    """Return the parts of a version, for comparison."""
    return tuple(map(int, version.split(".")))


def set_version(root: Path, version: str) -> None:
    """Write `version` in place of the current one wherever it stands. Raise ValueError where it does not."""
    former = re.escape(current(root))
    for pattern, files in PLACES.items():
        for name in files:
            text, found = re.subn(pattern.format(former), rf"\g<1>{version}", (root / name).read_text(), flags=re.M)
            if not found and pattern.startswith(("(^", r"(\b")):
                raise ValueError(f"{name} does not have version {current(root)}")
            (root / name).write_text(text)
    for name in PACKAGES:
        document = json.loads((root / name).read_text())
        for package in (document, document.get("packages", {}).get("", {})):
            package.update({"version": version} if "version" in package else {})
        (root / name).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def cut(changelog: str, version: str, day: date) -> str:
    """Return the changelog with what is unreleased under `version`. Raise ValueError if that is nothing."""
    before, heading, after = changelog.partition(UNRELEASED)
    pending = re.split(r"^## ", after, maxsplit=1, flags=re.M)[0]
    if not heading or not re.search(r"^- ", pending, re.M):
        raise ValueError(f"CHANGELOG.md has nothing under {UNRELEASED}")
    return f"{before}{heading}\n\n## [{version}] - {day.isoformat()}{after}"


def git(root: Path, *arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the version: make release VERSION=0.2.0")
    main(sys.argv[1])
