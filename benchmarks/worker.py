"""The process behind processes.Worker: reads calls from standard input, one JSON object a line, and writes the
results."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import traceback
from typing import Any

import uvloop


async def main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(json.loads(line))), flush=True)


async def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Returns the result, or the error with its traceback, which the caller raises."""
    try:
        function = getattr(importlib.import_module(order["module"]), order["function"])
        return {"result": await function(**order["arguments"])}
    except Exception:
        return {"error": traceback.format_exc()}


uvloop.run(main())
