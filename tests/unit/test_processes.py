"""Each process loads what it needs, and not what others need."""

from __future__ import annotations

import subprocess
import sys

import pytest

OTHERS = {
    "relay": ("gateway", "grpc_api", "edge", "storage.committer"),
    "gateway": ("relay", "edge", "storage.committer"),
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
