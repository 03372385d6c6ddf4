"""`python -m tests.attack.process [GUARD]`: the server of production, or one without this guard."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import uvloop

from stockward_server.bootstrap import server
from stockward_server.config import load_settings
from tests.attack.unguarded import removed


def main(without: str = "") -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await server.serve(load_settings(), stop)

    with removed(without):
        uvloop.run(until_stopped())


if __name__ == "__main__":
    main(*sys.argv[1:])
