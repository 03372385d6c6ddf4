"""A webhook receiver that accepts everything at once: `python -m benchmarks.receiver HOST:PORT`.

POST accepts a webhook; GET returns their number; DELETE returns `webhook-id` and time of each, and clears them.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop
from aiohttp import web


async def main(address: str) -> None:
    arrivals: list[tuple[str, float]] = []

    async def take(request: web.Request) -> web.Response:
        await request.read()
        arrivals.append((request.headers.get("webhook-id", ""), time.time()))
        return web.Response(status=204)

    async def count(_: web.Request) -> web.Response:
        return web.json_response(len(arrivals))

    async def forget(_: web.Request) -> web.Response:
        answer = web.json_response(arrivals)
        arrivals.clear()
        return answer

    application = web.Application()
    application.add_routes([web.post("/", take), web.get("/", count), web.delete("/", forget)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    host, _, port = address.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    await asyncio.Event().wait()


uvloop.run(main(sys.argv[1]))
