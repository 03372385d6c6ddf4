"""Every command and snippet of the documentation runs, as a reader types it, in order, on one clean stack."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, blocks_of, script_of
from tests.stack import Stack, new_stack
from tests.terminal import clean_environment

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

BLOCKS = {page: [block for block in blocks_of(page) if block.runs] for page in PAGES}
SCRIPTS = {page: script_of(blocks) for page, blocks in BLOCKS.items() if blocks}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack in a folder that looks like a checkout: `.venv` and the compiled TypeScript client are there."""
    for stack in new_stack():
        stack.up()
        (stack.directory / ".venv").symlink_to(ROOT / ".venv")
        (stack.directory / "clients").symlink_to(ROOT / "clients")
        modules = stack.directory / "node_modules" / "@stockward"
        modules.mkdir(parents=True)
        (modules / "client").symlink_to(ROOT / "clients" / "typescript")
        yield stack


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_runs(page: Path, stack: Stack) -> None:
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["sh", "-eu", "-c", SCRIPTS[page]],
        cwd=stack.directory,
        env=clean_environment() | {"PATH": path, "CHECKOUT": str(ROOT), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ended.returncode == 0, f"{ended.stderr[-4000:]}\n{ended.stdout[-2000:]}"
