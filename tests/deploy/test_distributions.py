"""What `make dist` builds: each distribution installs into an empty environment, and none owns files of another."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PARTS = {"stockward_client": "clients/python", "stockward": ".", "stockward_dev": "dev"}
"""Where each distribution is made."""

UV = Path(sys.executable).with_name("uv")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of each, and the wheel that was built of that."""
    folder = tmp_path_factory.mktemp("dist")
    for part in PARTS.values():
        uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), part)
    return folder


class Environment:
    """An environment that has the packages of others which the tests run with, and none of ours."""

    def __init__(self, folder: Path) -> None:
        self._python = folder / "bin" / "python"
        uv("venv", "--python", sys.executable, str(folder))
        libraries = Path(self._run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        for each in Path(sysconfig.get_path("purelib")).iterdir():
            if "stockward" not in each.name and not (libraries / each.name).exists():
                (libraries / each.name).symlink_to(each)

    def install(self, *wheels: Path) -> None:
        uv("pip", "install", "--no-deps", "--python", str(self._python), *map(str, wheels))

    def uninstall(self, name: str) -> None:
        uv("pip", "uninstall", "--python", str(self._python), name)

    def python(self, code: str) -> str:
        return self._run("-c", code)

    def stockward(self, *arguments: str) -> str:
        return self._run(str(self._python.with_name("stockward")), *arguments)

    def has(self, module: str) -> bool:
        return self.python(f"import importlib.util as u; print(u.find_spec('{module}') is not None)").strip() == "True"

    def _run(self, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [self._python, "-P", *arguments],
            cwd=self._python.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "venv")


def uv(*arguments: str) -> None:
    subprocess.run([UV, "--offline", "--quiet", *arguments], cwd=ROOT, check=True)


def wheel(dist: Path, name: str) -> Path:
    (found,) = dist.glob(f"{name}-*.whl")
    return found


def test_no_file_belongs_to_two_distributions(dist: Path) -> None:
    files = {name: set(zipfile.ZipFile(wheel(dist, name)).namelist()) for name in PARTS}
    for one, other in itertools.combinations(files.values(), 2):
        assert not one & other


def test_a_source_distribution_has_what_its_wheel_is_made_of_and_no_more(dist: Path) -> None:
    for name, kept in (
        ("stockward_client", {"stockward_client", "generated"}),
        ("stockward", {"server"}),
        ("stockward_dev", {"stockward_dev"}),
    ):
        (archive,) = dist.glob(f"{name}-*.tar.gz")
        with tarfile.open(archive) as source:
            folders = {member.name.split("/")[1] for member in source.getmembers() if member.name.count("/") > 1}
        assert folders == kept, name


def test_the_client_needs_nothing_of_the_server(dist: Path, environment: Environment) -> None:
    environment.install(wheel(dist, "stockward_client"))
    environment.python("import stockward_client; from stockward.order.v1 import order_pb2; order_pb2.Order()")
    assert not environment.has("stockward_server")


def test_production_has_no_commands_for_development(dist: Path, environment: Environment) -> None:
    environment.install(wheel(dist, "stockward_client"), wheel(dist, "stockward"))
    assert "serve" in environment.stockward("--help")
    assert " demo " not in environment.stockward("--help")
    assert not environment.has("stockward_dev")
    environment.install(wheel(dist, "stockward_dev"))
    assert " demo " in environment.stockward("--help")


def test_to_uninstall_the_server_leaves_the_client(dist: Path, environment: Environment) -> None:
    environment.install(wheel(dist, "stockward_client"), wheel(dist, "stockward"))
    environment.uninstall("stockward")
    environment.python("import stockward_client; from stockward.order.v1 import order_pb2; order_pb2.Order()")


def test_all_have_one_version() -> None:
    projects = [tomllib.loads((ROOT / part / "pyproject.toml").read_text())["project"] for part in PARTS.values()]
    package = json.loads((ROOT / "clients/typescript/package.json").read_text())
    assert len({package["version"], *(project["version"] for project in projects)}) == 1
    own = [each for project in projects for each in project["dependencies"] if each.startswith("stockward")]
    assert own == [f"stockward-client=={package['version']}", f"stockward=={package['version']}"]
