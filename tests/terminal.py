"""The command `stockward`, run as a person or a script does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from stockward_server.cli import app

OURS = re.compile("STOCKWARD_|(DATABASE_URL|EVENT_QUEUE_URL|WEBHOOK_SECRET|.*_WEBHOOK_(URL|SECRET))$")


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed; never a traceback."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def clean_environment() -> dict[str, str]:
    """This process's, without settings of Stockward."""
    return {name: value for name, value in os.environ.items() if not OURS.match(name)}


MODULE = (sys.executable, "-m", "stockward_server.cli")
SCRIPT = (str(Path(sys.executable).with_name("stockward")),)
"""The same, under the name by which a shell completes it."""


async def stockward(*arguments: str | Path, cwd: Path, program: Sequence[str] = MODULE, **environment: str) -> Outcome:
    """Run it in `cwd`, without the settings of this machine, on a wide terminal."""
    process = await asyncio.create_subprocess_exec(
        *program,
        *map(str, arguments),
        cwd=cwd,
        env=clean_environment() | {"COLUMNS": "200", "NO_COLOR": "1"} | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    outcome = Outcome(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in outcome.err, outcome.err
    return outcome


async def in_process(*arguments: str | Path, stdin: str = "", **environment: str) -> Outcome:
    """Run it in this process, which spares the start of an interpreter, on a wide terminal."""
    words, environment = [*map(str, arguments)], {"COLUMNS": "200", "NO_COLOR": "1"} | environment
    result = await asyncio.to_thread(CliRunner().invoke, app, words, input=stdin, env=environment)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@asynccontextmanager
async def process(
    command: str, log: Path, environment: dict[str, str], *, program: Sequence[str] = MODULE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`stockward COMMAND` in the directory of its log; at the end it is asked to stop, and must."""
    with log.open("wb") as output:
        started = await asyncio.create_subprocess_exec(
            *(*program, command), cwd=log.parent, env=clean_environment() | environment, stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
            try:
                await asyncio.wait_for(started.wait(), 20)
            except TimeoutError:
                started.kill()
                await started.wait()
                raise
