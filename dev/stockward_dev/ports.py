"""Finds free ports for services."""

from __future__ import annotations

import errno
import itertools
import random
import socket

RANGE = range(20_000, 32_768)
"""Ports below the ephemeral range of Linux, macOS and Windows, so that the system assigns none of them between the
check and the start of the service."""

_in_turn = itertools.cycle(random.sample(RANGE, len(RANGE)))  # repeats a port only after all others


def keep_to(part: int, parts: int) -> None:
    """Lets `free_port` return only its own ports to one of several processes that start services at the same time.

    Args:
        part: Which of the processes this one is, from 0.
        parts: Their number.
    """
    global _in_turn
    own = RANGE[part::parts]
    _in_turn = itertools.cycle(random.sample(own, len(own)))


def free_port(preferred: int = 0, host: str = "127.0.0.1") -> int:
    """Returns ``preferred`` where nothing listens on it, else a free port of ``host``.

    The port is not reserved: another process may bind it before the caller does, see `keep_to`.

    Raises:
        OSError: None is free, or ``host`` is no address of this machine.
    """
    for port in itertools.chain([preferred] if preferred else [], itertools.islice(_in_turn, len(RANGE))):
        if _is_free(port, host):
            return port
    raise OSError(errno.EADDRINUSE, "no port is free")


def _is_free(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Connections of an earlier run in TIME_WAIT do not make a port taken; a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            # EACCES: reserved on Windows, or below 1024 on Unix.
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True
