"""Each process loads what it needs, and not what others need."""

from __future__ import annotations

import subprocess
import sys

import pytest

OTHERS = {
    "relay": ("gateway", "api", "edge", "storage.write.committer"),
    "gateway": ("relay", "edge", "storage.write.committer"),
    "server": ("gateway", "edge"),
}


@pytest.mark.parametrize("process", OTHERS)
def test_a_process_does_not_load_the_others(process: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, stockward_server.bootstrap.{process}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [name.removeprefix("stockward_server.") for name in loaded.stdout.split()]
    assert f"bootstrap.{process}" in ours
    assert not [name for name in ours if name.startswith(OTHERS[process])]


FIND_GRPC = """
import os, sys
from importlib.abc import MetaPathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"))

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["stockward_server.bootstrap.server", "benchmarks.registry", "torture.process"])
def test_grpc_knows_before_it_is_loaded_that_nobody_goes_on_with_it_in_a_fork(module: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"{FIND_GRPC}\nimport {module}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == ["false"]
