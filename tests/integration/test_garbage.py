"""The garbage collector stops a server for a short time only."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from google.protobuf.message import Message

from stockward_server.api.server import SERVICES
from stockward_server.bootstrap import server
from stockward_server.config import Settings
from stockward_server.runtime import garbage
from stockward_server.wire.validation import rules


async def test_what_was_loaded_is_not_walked_through_again() -> None:
    script = "import gc; from stockward_server.runtime import garbage; garbage.collect_seldom(); print({}, {})"
    told = script.format("gc.get_freeze_count()", "gc.get_threshold()[0]")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", told, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    frozen, new = map(int, out.split())
    assert frozen > 1000
    assert new <= 5_000, "which takes a few milliseconds"


async def test_a_server_leaves_out_what_it_was_made_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the rules of every message are compiled: else the first call of each would have all others wait."""
    stop, compiled, validator = asyncio.Event(), set[str](), rules._validator

    class Noting:
        def collect_violations(self, message: Message, **options: Any) -> Any:
            compiled.add(message.DESCRIPTOR.full_name)
            return validator.collect_violations(message, **options)

    monkeypatch.setattr(rules, "_validator", Noting())
    monkeypatch.setattr(garbage, "collect_seldom", stop.set)
    async with asyncio.timeout(60):
        await server.serve(settings, stop)
    assert compiled >= {method.input_type.full_name for service in SERVICES for method in service.methods}
