"""The stack that runs on this machine, as `stockward run` records it in `.stockward/run.json`."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

NAME = ".stockward"
"""Name of the directory, unless STOCKWARD_HOME is set."""


def find_home(start: Path) -> Path | None:
    """Returns the stack's directory in the folder `start` or in the nearest one above it; None if there is none.

    Ignores directories of other users, since their files decide where commands send their keys.
    """
    return next((folder / NAME for folder in (start, *start.parents) if _is_ours(folder / NAME)), None)


@dataclass(frozen=True)
class RunFile:
    """`run.json`: the running processes of a stack and how to reach them."""

    grpc: str
    """HOST:PORT of the gRPC server."""
    tls: dict[str, str]
    """Files (PEM) for clients if the server uses TLS: its roots as `ca`, the client's certificate as `cert` and `key`.
    """
    edge: str
    """URL of the edge: REST, gRPC-Web and gRPC."""
    gateway: str
    """URL of the webhook gateway."""
    admin: dict[str, str]
    """URL of health and metrics (/livez, /readyz, /metrics) of server, relay and gateway."""
    nats: str
    """URL of NATS for subscribers, user and password included."""
    nats_api: str
    """Prefix of JetStream's API for subscribers."""
    database: str
    """URL of PostgreSQL, for asyncpg and libpq alike."""
    keys: dict[str, str]
    """API key of each role: pms, storefront, admin."""
    webhook_secrets: dict[str, str]
    """Secrets of webhooks by variable: one for each party and direction."""
    webhooks: dict[str, str]
    """Default URL of webhooks, by role, where the settings have none; `stockward demo` listens there."""
    pids: dict[str, int]
    """Process ids of supervisor, postgres, nats, relay, gateway, server and edge, except one that is being restarted.
    """

    @classmethod
    def read(cls, home: Path) -> RunFile | None:
        """Reads the run file of ``home``; None where no stack runs, even if a killed run left its file."""
        try:
            found = json.loads((home / "run.json").read_text(encoding="utf-8"))
            stack = cls(**{field.name: found[field.name] for field in dataclasses.fields(cls)})
        except (OSError, ValueError, KeyError):
            return None
        return stack if _lives(stack.pids.get("supervisor", 0)) else None


def _is_ours(directory: Path) -> bool:
    try:
        return directory.is_dir() and directory.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
