"""TCP ports on this machine."""

from __future__ import annotations

import socket


def free_port(preferred: int = 0, host: str = "127.0.0.1") -> int:
    """``preferred`` where nothing listens on it, else a free port of ``host``.

    The port is not held: another process may take it before the caller does.
    """
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # Connections of an earlier run in TIME_WAIT do not make a port taken; a listener does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return int(probe.getsockname()[1])
            except OSError:
                if port == 0:
                    raise
    raise AssertionError("unreachable")
