"""Builds the distributions from a fresh clone, and installs them into environments that have nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

PARTS = {
    "stockward_contract": "generated/python",
    "stockward_client": "clients/python",
    "stockward": ".",
    "stockward_dev": "dev",
}
"""Where each distribution is made."""

UV = Path(sys.executable).with_name("uv")

LIBRARIES = Path(sysconfig.get_path("purelib"))


def clone(folder: Path) -> Path:
    """Clones this checkout into ``folder``, and brings along what is not committed; returns the folder."""
    _run("git", "clone", "--quiet", "--no-tags", "--depth=1", f"file://{ROOT}", str(folder))
    changed = _run("git", "diff", "-z", "--name-only", "HEAD")
    added = _run("git", "ls-files", "-z", "--others", "--exclude-standard")
    for name in filter(None, f"{changed}{added}".split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return folder


def build(checkout: Path, folder: Path, *options: str) -> Path:
    """Builds all Python distributions as `make dist` does; returns the folder that they are in."""
    for part in PARTS.values():
        uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, *options, checkout / part)
    return folder


def wheel(dist: Path, name: str) -> Path:
    """Returns the wheel of a distribution."""
    (found,) = dist.glob(f"{name}-*.whl")
    return found


def uv(*arguments: str | Path) -> None:
    _run(str(UV), "--offline", "--quiet", *map(str, arguments))


class Environment:
    """An environment with nothing but what is installed into it, and of the packages of others those that it asks for.

    These are links to what the tests run with, so no registry is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._python = folder / "bin" / "python"
        uv("venv", "--python", sys.executable, folder)
        (self._libraries,) = (folder / "lib").glob("python*/site-packages")

    @property
    def script(self) -> Path:
        """The command that is installed."""
        return self._python.with_name("stockward")

    def install(self, *wheels: Path, extras: Sequence[str] = ()) -> None:
        """Installs our wheels, and what they require: without ``extras`` what they do in any case."""
        uv("pip", "install", "--no-deps", "--python", self._python, *wheels)
        for name in self._requirements(extras):
            self._link(distribution(name))
        uv("pip", "check", "--python", self._python)

    def uninstall(self, name: str) -> None:
        uv("pip", "uninstall", "--python", self._python, name)

    def python(self, code: str) -> str:
        return self._output("-c", code)

    def stockward(self, *words: str) -> str:
        """Returns what a command prints."""
        return self._output(str(self.script), *words)

    def refused(self, *words: str) -> str:
        """Returns what a command that fails says on stderr."""
        done = self.run(str(self.script), *words)
        assert done.returncode
        return done.stderr

    def has(self, module: str) -> bool:
        return self.python(f"import importlib.util as u; print(u.find_spec('{module}') is not None)").strip() == "True"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Python, with none of the variables that would bring in other packages or settings."""
        own = {name: value for name, value in os.environ.items() if not re.match("PYTHONPATH|STOCKWARD_", name)}
        return subprocess.run(
            [self._python, "-P", *arguments], cwd=self._python.parent, env=own, capture_output=True, text=True
        )

    def _output(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert not done.returncode, done.stderr
        return done.stdout

    def _requirements(self, extras: Sequence[str]) -> Iterator[str]:
        """Yields the packages of others that ours require, and those that these require in turn."""
        ours = [PathDistribution(path) for path in self._libraries.glob("stockward*.dist-info")]
        waiting = [each for own in ours for each in _required(own, extras if own.name == "stockward" else ())]
        done: set[str] = set()
        while waiting:
            requirement = waiting.pop()
            if (key := str(requirement)) in done:
                continue
            done.add(key)
            if requirement.name.startswith("stockward"):
                waiting += [
                    each for own in ours if own.name == requirement.name for each in _required(own, requirement.extras)
                ]
            else:
                yield requirement.name
                waiting += _required(distribution(requirement.name), requirement.extras)

    def _link(self, package: Distribution) -> None:
        """Links the files of a package that the tests run with."""
        for name in {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}:
            self._link_path(LIBRARIES / name, self._libraries / name, package)

    def _link_path(self, source: Path, target: Path, package: Distribution) -> None:
        """Links a file or folder; one that several packages share, such as `google`, is made of links itself."""
        if source.name.endswith(".dist-info"):
            shutil.copytree(source, target, dirs_exist_ok=True)  # through a link uv does not see it
        elif not target.exists() and not (source.is_dir() and _is_shared(source)):
            target.symlink_to(source)
        elif source.is_dir() and not target.is_symlink():
            target.mkdir(exist_ok=True)
            depth = len(source.relative_to(LIBRARIES).parts)
            inside = {file.parts[depth] for file in package.files or () if _is_below(LIBRARIES / file, source)}
            for name in inside:
                self._link_path(source / name, target / name, package)


def _is_shared(folder: Path) -> bool:
    return not (folder / "__init__.py").exists()


def _is_below(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and file != folder


def _required(package: Distribution, extras: Iterable[str]) -> list[Requirement]:
    found = [Requirement(each) for each in package.requires or ()]
    environments = [{"extra": extra} for extra in (*extras, "")]
    return [each for each in found if not each.marker or any(each.marker.evaluate(one) for one in environments)]


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
