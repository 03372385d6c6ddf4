"""The units of deploy/systemd: systemd takes them, and they run what exists, shut off from the rest of the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from stockward_server.config import variables
from tests.cli_tree import problem_of
from tests.deploy.test_deploy import DEPLOY, EDGE_NOTICE, SECRETS, USES, settings_of

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))

MAX_EXPOSURE = 20
"""Ten times what `systemd-analyze security` may find, of 100."""

SECONDS_OF_MIGRATIONS = 60
"""How long a migration waits for its locks."""


def lines(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def test_there_is_one_for_each_process() -> None:
    assert {unit.stem.removeprefix("stockward-") for unit in UNITS} == set(USES)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_takes_them_and_finds_little_exposed(tmp_path: Path) -> None:
    for unit in UNITS:  # programs that are not there count as mistakes
        here = unit.read_text().replace("/opt/stockward/bin/", f"{sysconfig.get_path('scripts')}/")
        (tmp_path / unit.name).write_text(here)
    files = sorted(tmp_path.iterdir())
    for command in (["verify", "--man=no"], ["security", "--offline=true", f"--threshold={MAX_EXPOSURE}"]):
        for each in files:
            done = subprocess.run(["systemd-analyze", *command, each], capture_output=True, text=True)
            assert not done.returncode, done.stdout + done.stderr
            assert command[0] != "verify" or not done.stderr, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_what_exists_with_what_it_uses(unit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = unit.stem.removeprefix("stockward-")
    for command in (*lines(unit, "ExecStart"), *lines(unit, "ExecStartPre")):
        program, *words = command.split()
        assert Path(program).parent == Path("/opt/stockward/bin")
        assert Path(program).name == "envoy" or not problem_of(words)
    assert lines(unit, "User") == ["stockward"]
    assert lines(unit, "EnvironmentFile") == [f"/etc/stockward/{each}.env" for each in ("stockward", name)]
    settings = settings_of(monkeypatch, SECRETS, USES[name])
    needed = {"edge": EDGE_NOTICE, "migrate": SECONDS_OF_MIGRATIONS}.get(name, settings.stop_seconds)
    assert int(lines(unit, "TimeoutStopSec")[0]) >= needed


def test_the_examples_of_settings_have_what_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [(DEPLOY / "systemd" / f"{file}.env.example").read_text() for file in ("stockward", "secrets")]
    shared, own = (dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)) for text in texts)
    assert {*shared, *own} <= set(variables())
    assert {"DATABASE_URL", "EVENT_QUEUE_URL"} <= set(own)
    assert shared["STOCKWARD_ENVIRONMENT"] == "production"
    for use in USES.values():
        settings_of(monkeypatch, {**SECRETS, **shared}, use)
