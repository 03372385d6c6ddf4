"""Every command and snippet of the documentation runs, as a reader types it, in order, on one clean stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, blocks_of, script_of
from tests.stack import Stack, new_stack
from tests.terminal import clean_environment

TYPESCRIPT = ROOT / "clients" / "typescript"
IN_CI = os.environ.get("CI") == "true"

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

BLOCKS = {page: [block for block in blocks_of(page) if block.runs] for page in PAGES}
SCRIPTS = {page: script_of(blocks) for page, blocks in BLOCKS.items() if blocks}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack in a folder that looks like a checkout: `.venv` and the compiled TypeScript client are there."""
    for stack in new_stack():
        stack.up()
        (stack.directory / ".venv").symlink_to(ROOT / ".venv")
        if has_typescript():
            install_client(stack.directory / "node_modules")
        yield stack


def has_typescript() -> bool:
    """Returns whether Node.js and the packages of the TypeScript client are there; in CI they are."""
    return IN_CI or bool(shutil.which("node") and (TYPESCRIPT / "node_modules").is_dir())


def install_client(modules: Path) -> None:
    """Compiles the client into `modules`, apart from `dist`, which other tests make again while this one runs."""
    client = modules / "@stockward" / "client"
    client.mkdir(parents=True)
    shutil.copy(TYPESCRIPT / "package.json", client)
    project = client / "tsconfig.json"
    options = {"rootDir": str(TYPESCRIPT), "outDir": "dist", "typeRoots": [str(TYPESCRIPT / "node_modules" / "@types")]}
    extended = {"extends": str(TYPESCRIPT / "tsconfig.json"), "include": [str(TYPESCRIPT / "src")]}
    project.write_text(json.dumps({**extended, "compilerOptions": options}))
    compile_it = ("npm", "exec", "--", "tsc", "--project", str(project))
    compiled = subprocess.run(compile_it, cwd=TYPESCRIPT, capture_output=True, text=True, timeout=170)
    assert compiled.returncode == 0, compiled.stdout
    for package in (TYPESCRIPT / "node_modules").iterdir():
        if not package.name.startswith(".") and not (modules / package.name).exists():
            (modules / package.name).symlink_to(package)


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_runs(page: Path, stack: Stack) -> None:
    if not has_typescript() and any(block.language == "ts" for block in BLOCKS[page]):
        pytest.skip("the TypeScript client's packages are not installed: npm ci --prefix clients/typescript")
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["sh", "-eu", "-c", SCRIPTS[page]],
        cwd=stack.directory,
        env=clean_environment() | {"PATH": path, "CHECKOUT": str(ROOT), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, f"{ended.stderr[-4000:]}\n{ended.stdout[-2000:]}"
