"""Free ports for the services we start."""

from __future__ import annotations

import errno
import itertools
import random
import socket

RANGE = range(20_000, 32_768)
"""Below the ports that Linux, macOS and Windows give to outgoing connections and to anyone who asks for any: they give
nobody one of these between our look and the start of the service."""

_in_turn = itertools.cycle(random.sample(RANGE, len(RANGE)))  # the same one twice only after all others


def free_port(preferred: int = 0, host: str = "127.0.0.1") -> int:
    """``preferred`` where nothing listens on it, else a free port of ``host``.

    The port is not held: another process may take it before the caller does.

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
            # Windows reserves some: EACCES there, and below 1024 on Unix.
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True
