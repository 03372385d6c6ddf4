"""The directory of a stack, `.stockward/`: data, logs, generated keys and the run file.

postgres/  nats/        data
logs/NAME.log           this run; NAME.log.1 is the run before
keys.json               generated once (mode 600)
ports.json              ports used instead of those that were in use
run.json                while a stack is up (mode 600)
lock, locks/            held by the stack and by each of its processes
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stockward_dev.files import write_private
from stockward_dev.service import StartError, locked_by
from stockward_server.config.run_file import RunFile


class AlreadyRunning(Exception):
    """Another stack runs in the same directory; ``pid`` is its supervisor's."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"running already (pid {pid})")
        self.pid = pid


@dataclass(frozen=True)
class Keys:
    """Secrets generated once for a home."""

    pms: str
    storefront: str
    admin: str
    webhook_secret: str
    """Secret from which those of each party and direction are derived."""
    nats_token: str
    """Secret from which the passwords of NATS are derived."""

    @classmethod
    def generate(cls) -> Keys:
        """Returns new random secrets."""
        return cls(
            pms=f"swk_pms_{_base32(20)}",
            storefront=f"swk_storefront_{_base32(20)}",
            admin=f"swk_admin_{_base32(20)}",
            webhook_secret="whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
            nats_token=_base32(20),
        )

    def nats_password(self, user: str) -> str:
        """Returns the password of one user of NATS; no other one can be derived from it."""
        digest = hmac.digest(self.nats_token.encode(), f"NATS {user}".encode(), "sha256")
        return base64.b32encode(digest[:20]).decode().lower()

    def webhook_secret_of(self, setting: str) -> str:
        """Returns the secret of one party and direction; no other one can be derived from it."""
        digest = hmac.digest(self.webhook_secret.encode(), setting.encode(), "sha256")
        return "whsec_" + base64.b64encode(digest).decode()

    @property
    def of_roles(self) -> dict[str, str]:
        """API key of each role."""
        return {"pms": self.pms, "storefront": self.storefront, "admin": self.admin}


class Home:
    """The directory of one stack, created on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Locks the directory within the block, so that only one stack uses it.

        Raises AlreadyRunning, or StartError where the directory cannot be used.
        """
        lock = self.path / "lock"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)  # other users, such as PostgreSQL's, may pass but not list
            for directory in (self.logs, self.path / "locks"):
                directory.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(
                f"{error.filename}: {(error.strerror or 'unusable').lower()}. Run as its owner, or set "
                "STOCKWARD_HOME to another directory"
            ) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(locked_by(lock) or 0) from None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def log(self, name: str) -> Path:
        """Returns the path of a process's log."""
        return self.logs / f"{name}.log"

    def lock(self, name: str) -> Path:
        """Returns the path of a process's lock."""
        return self.path / "locks" / name

    def rotate_logs(self) -> None:
        """Renames the logs of the last run and deletes those of the run before."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_name(f"{log.name}.1"))

    def keys(self) -> Keys:
        """Returns the secrets, generated the first time. Raises StartError where keys.json is damaged."""
        file = self.path / "keys.json"
        if not file.exists():
            write_private(file, json.dumps(dataclasses.asdict(Keys.generate()), indent=2) + "\n")
        try:
            return Keys(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise StartError(f"{file} is damaged: remove it, and new keys are made at the next start") from None

    def moved_ports(self) -> dict[str, int]:
        """Returns the ports used instead of others, by the service and its preferred port, such as `NATS 4222`."""
        try:
            found = json.loads((self.path / "ports.json").read_text(encoding="utf-8"))
            return {str(name): int(port) for name, port in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def remember_port(self, name: str, port: int) -> None:
        """Stores that `name` listens on `port` instead of its preferred port."""
        write_private(self.path / "ports.json", json.dumps(self.moved_ports() | {name: port}, indent=2) + "\n")

    def write_run_file(self, stack: RunFile) -> None:
        """Writes run.json."""
        write_private(self.path / "run.json", json.dumps(dataclasses.asdict(stack), indent=2) + "\n")

    def remove_run_file(self) -> None:
        """Deletes run.json if it exists."""
        (self.path / "run.json").unlink(missing_ok=True)


def _base32(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().lower()
