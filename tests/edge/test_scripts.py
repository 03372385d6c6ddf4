"""The rules of the edge's scripts, at any time of day and with any number of callers: run by Envoy, without a shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stockward_dev import Envoy, free_port
from stockward_server.edge import pace
from stockward_server.edge.parts import lua, typed

SHARE, INTERVAL = 0.1, 1
"""A worker's time for the bodies of one caller, and milliseconds between two calls of one caller."""

CALLERS = 10_000
"""Callers that a script remembers at most."""

Run = Callable[[str], Awaitable[list[float]]]
"""Runs a program in Lua, which calls the functions of the scripts; returns the numbers that it does."""

PROBE = """
function envoy_on_request(handle)
  local body = handle:body()
  if not body then return handle:respond({ [":status"] = "200" }, "") end
  local program = assert(loadstring(body:getBytes(0, body:length())))
  setfenv(program, setmetatable(functions, { __index = _G }))
  handle:respond({ [":status"] = "200" }, table.concat({ program() }, " "))
end
"""


def script(name: str, function: str, values: str) -> str:
    text = Path(pace.__file__).with_name(name).read_text(encoding="utf-8")
    return f"do\n{values}\n{text}\nfunctions.{function} = {function}\nend\n"


@pytest.fixture(scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    scripts = "local functions = {}\n"
    scripts += script("body_budget.lua", "wait_for_credit", f"local SHARE = {SHARE}")
    scripts += script("pace.lua", "wait_for_turn", f"local INTERVAL, TOO_FAST = {INTERVAL}, {{}}")
    address, port = "127.0.0.1", free_port()
    router = typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
    connections = typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="scripts",
        http_filters=[lua("scripts", scripts + PROBE), router],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [ANYWHERE]}]},
    )
    listener = {
        "address": {"socket_address": {"address": address, "port_value": port}},
        "filter_chains": [{"filters": [connections]}],
    }
    configuration: dict[str, Any] = {"static_resources": {"listeners": [listener]}}
    directory = tmp_path_factory.mktemp("scripts") / "envoy"
    async with (
        Envoy(directory, {"envoy.json": configuration}, address=f"{address}:{port}") as envoy,
        aiohttp.ClientSession() as session,
    ):

        async def run(program: str) -> list[float]:
            async with session.post(envoy.url, data=program) as answer:
                said = await answer.text()
                assert answer.status == 200, said
                return [float(each) for each in said.split()]

        yield run


ANYWHERE = {"match": {"prefix": "/"}, "direct_response": {"status": 404}}


async def test_a_caller_saves_up_credit_for_one_large_body_however_long_it_waits(run: Run) -> None:
    """One that takes 41 ms of a worker's time: of the 40 ms of credit, a caller is 1 ms short."""
    hour = 3_600_000
    assert await run(f"""
        local function ask(now) return wait_for_credit("saver", now, 41 * 110000, 0) end
        return ask(0), ask(0), ask(10), ask({hour}), ask({hour}), ask({hour - 1000})
    """) == [0, 11, 1, 0, 11, 11]


async def test_whoever_came_before_very_many_others_is_forgotten(run: Run) -> None:
    """Callers may name themselves as they like, and take no memory without end."""
    assert await run(f"""
        local function waits(caller) return wait_for_credit(caller, 0, 41 * 110000, 0) end
        waits("first")
        for number = 1, {CALLERS // 2} do waits(number) end
        local before = waits("first")
        for number = 1, {CALLERS} do waits(-number) end
        return before, waits("first")
    """) == [11, 0]
    assert await run(f"""
        local function passes(caller) return wait_for_turn(caller, 0) and 1 or 0 end
        for _ = 1, 3000 do passes("first") end
        for number = 1, {CALLERS // 2} do passes(number) end
        local before = passes("first")
        for number = 1, {CALLERS} do passes(-number) end
        return before, passes("first")
    """) == [0, 1]


async def test_calls_are_passed_at_once_then_in_turn_then_refused(run: Run) -> None:
    assert await run("""
        local waits = {}
        for number = 1, 2033 do waits[number] = wait_for_turn("caller", 5000) end
        return math.max(waits[1], waits[32]), waits[33], waits[34], waits[2032], #waits
    """) == [0, 1, 2, 2000, 2032]


async def test_a_clock_that_is_set_back_keeps_nobody_waiting(run: Run) -> None:
    assert await run("""
        local function passes(now) return wait_for_turn("early", now) and 1 or 0 end
        for _ = 1, 3000 do passes(1e9) end
        return passes(1e9), passes(0), passes(1)
    """) == [0, 1, 1]
