"""What docs/how-to/pms/command-line.md shows."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.staff_terminal import Run, reaching, rows
from tests.terminal import SCRIPT, stockward


def shown(index: int) -> str:
    """One of the shell blocks of the page."""
    page = (Path(__file__).resolve().parents[3] / "docs/how-to/pms/command-line.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return blocks[index]


async def test_the_day_of_the_page(run: Run) -> None:
    said = []
    for line in shown(0).splitlines():
        if line and not line.startswith("#"):
            program, *words = shlex.split(line)
            done = await run(*words)
            assert (program, done.code) == ("stockward", 0), (line, done.err)
            said.append(done.out)
    assert ["MUG-BLUE", "main", "8", "0", "0", "0", "8", "0", "0"] in rows(said[-2])
    assert "fulfilled" in said[-3]


@pytest.mark.long
@pytest.mark.parametrize(("block", "said"), [(1, "Replayed"), (2, "2 applied, 1 refused"), (3, "units on hand")])
async def test_the_scripts_of_the_page(shop: Shop, run: Run, tmp_path: Path, block: int, said: str) -> None:
    """They end with the exit code that the page promises; on other goods than those of the day."""
    script = shown(block).replace("MUG-BLUE", "TEE-L").replace("MUG-BIG", "TEE-M")
    for sku in ("TEE-L", "TEE-M"):
        if (await run("products", "show", sku)).code:
            await shop.sell(sku, 3)
    path = f"{Path(SCRIPT[0]).parent}:{os.environ['PATH']}"
    done = await stockward(
        "-euo", "pipefail", "-c", script, cwd=tmp_path, program=("bash",), PATH=path, **reaching(shop)
    )
    assert (done.code, said in done.out) == (0, True), done.err
