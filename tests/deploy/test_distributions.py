"""What `make dist` builds of a fresh clone: each distribution installs into an empty environment, and none owns files
of another."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.deploy.distributions import PARTS, ROOT, Environment, build, clone, wheel

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of this checkout, with what is not committed yet."""
    return clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def dist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of each, and the wheel that was built of that."""
    return build(checkout, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "venv")


def test_no_file_belongs_to_two_distributions(dist: Path) -> None:
    files = {name: set(zipfile.ZipFile(wheel(dist, name)).namelist()) for name in PARTS}
    for one, other in itertools.combinations(files.values(), 2):
        assert not one & other


def test_a_source_distribution_has_what_its_wheel_is_made_of_and_no_more(dist: Path) -> None:
    for name, kept in (
        ("stockward_contract", {"stockward", "buf"}),
        ("stockward_client", {"stockward_client"}),
        ("stockward", {"server"}),
        ("stockward_dev", {"stockward_dev"}),
    ):
        (archive,) = dist.glob(f"{name}-*.tar.gz")
        with tarfile.open(archive) as source:
            folders = {member.name.split("/")[1] for member in source.getmembers() if member.name.count("/") > 1}
        assert folders == kept, name


def test_a_wheel_of_the_checkout_is_that_of_the_source_distribution(checkout: Path, dist: Path, tmp_path: Path) -> None:
    build(checkout, tmp_path, "--wheel")
    for name in PARTS:
        assert contents(wheel(tmp_path, name)) == contents(wheel(dist, name)), name


def contents(archive: Path) -> dict[str, list[bytes]]:
    """The lines of each file, without an order where it says nothing: of the files, and in the list of them."""
    with zipfile.ZipFile(archive) as files:
        found = {name: files.read(name).splitlines() for name in files.namelist()}
    return {name: sorted(lines) if name.endswith("RECORD") else lines for name, lines in found.items()}


def test_the_wheel_knows_its_commit(checkout: Path, dist: Path) -> None:
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    commit = subprocess.run(describe, cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert zipfile.ZipFile(wheel(dist, "stockward")).read("stockward_server/COMMIT").decode() == commit


def test_the_contract_stands_alone(dist: Path, environment: Environment) -> None:
    environment.install(wheel(dist, "stockward_contract"))
    environment.python(
        "from stockward.order.v1 import order_pb2, order_pb2_grpc; order_pb2_grpc.OrderServiceStub; order_pb2.Order()"
    )
    assert not environment.has("stockward_client")
    assert not environment.has("stockward_server")


def test_the_client_needs_nothing_of_the_server(dist: Path, environment: Environment) -> None:
    environment.install(wheel(dist, "stockward_contract"), wheel(dist, "stockward_client"))
    environment.python("import stockward_client; from stockward.order.v1 import order_pb2; order_pb2.Order()")
    assert not environment.has("stockward_server")
    assert not environment.has("nats")


def test_staff_s_commands_need_nothing_of_the_server(dist: Path, environment: Environment) -> None:
    environment.install(*(wheel(dist, name) for name in ("stockward_contract", "stockward_client", "stockward")))
    assert not [name for name in ("asyncpg", "aiohttp", "protovalidate", "uvloop") if environment.has(name)]
    commands = environment.stockward("--help")
    assert "orders" in commands
    for words in (("orders", "list"), ("events", "tail"), ("import", "products"), ("stock", "sync"), ("audit",)):
        assert "Usage" in environment.stockward(*words, "--help")
    assert "No stack was found" in environment.refused("orders", "list")
    assert "needs the server's packages" in environment.refused("serve")
    assert "pip install 'stockward[server]'" in environment.refused("migrate")


def test_production_has_no_commands_for_development(dist: Path, environment: Environment) -> None:
    parts = [wheel(dist, name) for name in ("stockward_contract", "stockward_client", "stockward")]
    environment.install(*parts, extras=("server",))
    assert "serve" in environment.stockward("--help")
    assert " demo " not in environment.stockward("--help")
    assert not environment.has("stockward_dev")
    environment.install(wheel(dist, "stockward_dev"))
    assert " demo " in environment.stockward("--help")


def test_to_uninstall_the_server_leaves_the_client(dist: Path, environment: Environment) -> None:
    environment.install(*(wheel(dist, name) for name in ("stockward_contract", "stockward_client", "stockward")))
    environment.uninstall("stockward")
    environment.python("import stockward_client; from stockward.order.v1 import order_pb2; order_pb2.Order()")


def test_the_npm_package_installs_into_an_empty_folder(checkout: Path, tmp_path: Path) -> None:
    """Of the packages that it may use, it finds those that it names, and no others."""
    if not (ROOT / "clients/typescript/node_modules").exists():
        pytest.skip("no packages of the TypeScript client: make typescript installs them")
    client = checkout / "clients" / "typescript"
    (client / "node_modules").symlink_to(ROOT / "clients" / "typescript" / "node_modules")
    subprocess.run(["npm", "pack", "--silent", "--pack-destination", tmp_path], cwd=client, check=True)
    (archive,) = tmp_path.glob("*.tgz")
    installed = tmp_path / "shop" / "node_modules" / "@stockward" / "client"
    with tarfile.open(archive) as package:
        package.extractall(tmp_path, filter="data")
    shutil.copytree(tmp_path / "package", installed)
    lock = json.loads((client / "package-lock.json").read_text())["packages"]
    for place, about in lock.items():
        if place and not (about.get("dev") or about.get("peer") or about.get("optional")):
            target = tmp_path / "shop" / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(client / place)
    program = (
        "import * as stockward from '@stockward/client'; import * as webhook from '@stockward/client/webhook';"
        "console.log(Object.keys(stockward).length > 10, Object.keys(webhook).length > 0)"
    )
    ran = subprocess.run(
        ["node", "--preserve-symlinks", "--input-type=module", "--eval", program],
        cwd=tmp_path / "shop",
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr) == ("true true\n", "")
    assert not list(installed.rglob("*.test.*"))


def test_all_have_one_version() -> None:
    projects = [tomllib.loads((ROOT / part / "pyproject.toml").read_text())["project"] for part in PARTS.values()]
    package = json.loads((ROOT / "clients/typescript/package.json").read_text())
    assert len({package["version"], *(project["version"] for project in projects)}) == 1
    own = [each for project in projects for each in project["dependencies"] if each.startswith("stockward")]
    assert {each.partition("==")[2] for each in own} == {package["version"]}
