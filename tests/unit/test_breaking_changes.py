"""`make breaking` compares the contract with the last release, and with nothing before the first one."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIELD = "string order_id = 1 "


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns tools/contract.py, at work on a repository of its own with the contract as the only commit."""
    spec = importlib.util.spec_from_file_location("contract_tool", ROOT / "tools" / "contract.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "IMAGE", tmp_path / ".build" / "image.binpb")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "proto")
    git(tmp_path, "commit", "--quiet", "--message", "Add the contract")
    return tool


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def check(tool: Any) -> None:
    """Runs the command as `make breaking` does."""
    tool.compile_image(tool.ROOT / "proto", tool.IMAGE)
    tool.check_breaking(tool.baseline())


def drop_a_field(folder: Path) -> None:
    file = folder / "proto/stockward/order/v1/order.proto"
    text = file.read_text()
    assert FIELD in text
    file.write_text(text.replace(FIELD, "string order_id = 100 ", 1))


def test_before_the_first_release_everything_may_change(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    drop_a_field(tool.ROOT)
    check(tool)
    assert "There is no release yet" in capsys.readouterr().out


def test_a_release_freezes_the_contract(tool: Any, capfd: pytest.CaptureFixture[str]) -> None:
    git(tool.ROOT, "tag", "--annotate", "v1.0.0", "--message", "v1.0.0")
    check(tool)
    assert "breaks nothing of v1.0.0" in capfd.readouterr().out
    drop_a_field(tool.ROOT)
    with pytest.raises(SystemExit):
        check(tool)
    assert 'field "1" with name "order_id"' in capfd.readouterr().out


def test_another_tag_than_that_of_a_release_freezes_nothing(tool: Any) -> None:
    git(tool.ROOT, "tag", "nightly")
    assert tool.baseline() is None
