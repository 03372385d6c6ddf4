"""The stack that runs on this machine, as `stockward run` records it in `.stockward/run.json`."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

NAME = ".stockward"
"""Of the directory, unless STOCKWARD_HOME is set."""


def find_home(start: Path) -> Path | None:
    """Returns the stack's directory in the folder `start` or in the nearest one above it that has one.

    Directories of other users do not count: what is in them decides where commands send their keys.
    """
    return next((folder / NAME for folder in (start, *start.parents) if _is_ours(folder / NAME)), None)


@dataclass(frozen=True)
class RunFile:
    """`run.json`: what of the stack is up and how to reach it."""

    grpc: str
    """HOST:PORT of the gRPC server."""
    tls: dict[str, str]
    """Files (PEM) for its clients where it speaks TLS: its roots as `ca`, what they show to it as `cert` and `key`."""
    edge: str
    """URL of the edge: REST, gRPC-Web and gRPC."""
    gateway: str
    """URL of the webhook gateway."""
    admin: dict[str, str]
    """URL of health and metrics (/livez, /readyz, /metrics) of server, relay and gateway."""
    nats: str
    """URL of NATS for those that only read events, user and password included."""
    nats_api: str
    """Prefix of JetStream's API there."""
    database: str
    """URL of PostgreSQL, for asyncpg and libpq alike."""
    keys: dict[str, str]
    """API key of each role: pms, storefront, admin."""
    webhook_secrets: dict[str, str]
    """Secrets of webhooks by the setting: one for each party and direction."""
    webhooks: dict[str, str]
    """URL, by role, that webhooks go to because none is set: anyone who listens there receives them (`stockward
    demo`)."""
    pids: dict[str, int]
    """Of supervisor, postgres, nats, relay, gateway, server and edge; one that is being restarted is absent."""

    @classmethod
    def read(cls, home: Path) -> RunFile | None:
        """What runs in ``home``; None where nothing does, even if a killed run left its file."""
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
