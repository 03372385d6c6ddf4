"""Make or refresh `.venv` from hash-pinned requirements: `python3 tools/bootstrap.py requirements.txt`.

Run by make with the machine's own Python, so the standard library must do. Only wheels are taken, and the
checkout itself is built with the locked hatchling: nothing that is not pinned is ever fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CHECKOUT = VENV / "checkout"  # the folder this environment was made for; its scripts hold that path
CHECKOUTS = ("generated/python", "clients/python", ".", "dev")
"""The distributions of the checkout, each below those that need it."""

PER_PACKAGE = ("Collecting ", "Processing ", "Requirement already", "Ignoring ")  # pip's first line on each


def main(requirements: str) -> None:
    """Leave `.venv` holding what `requirements` pins, and the packages of the checkout in editable form."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the Python that was named may be an older one
        stop(f"Stockward needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.")
    if not usable():
        create()
    locked = (ROOT / requirements).read_text()
    total = sum("==" in line for line in locked.splitlines())
    pip(f"Installing {total} packages", total, "--require-hashes", "--only-binary=:all:", "-r", requirements)
    checkouts = [word for part in CHECKOUTS for word in ("--editable", part)]
    pip("Installing stockward from this checkout", 0, "--no-build-isolation", *checkouts)


def usable() -> bool:
    """Whether `.venv` runs, has pip and was made for this folder (scripts in a moved one point elsewhere)."""
    if not CHECKOUT.exists() or CHECKOUT.read_text() != f"{ROOT}\n":
        return False
    try:
        return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode == 0
    except OSError:
        return False


def create() -> None:
    """Make `.venv` again with the running Python."""
    print(f"Creating .venv with Python {sys.version.split()[0]} ...", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
    if made.returncode != 0:
        stop(
            f"{sys.executable} cannot make a virtual environment: {(made.stderr or made.stdout).strip()}\n"
            "Debian and Ubuntu package this apart: install python3-venv, then run the same command again.\n"
            "Another Python can be named: make PYTHON=/path/to/python3 ..."
        )
    CHECKOUT.write_text(f"{ROOT}\n")


def pip(title: str, total: int, *arguments: str) -> None:
    """Run `pip install` quietly, showing how far it is of `total` packages (0: not counted).

    On failure show the end of what pip said and stop.
    """
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-input",
        "--progress-bar=off",
        *arguments,
    ]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    output: list[str] = []
    finished = threading.Event()
    ticker = threading.Thread(target=report, args=(title, total, output, finished))
    ticker.start()
    try:
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                output.append(line)  # noqa: PERF402 - one by one, for the ticker to see
    finally:
        finished.set()
        ticker.join()
    if process.returncode != 0:
        stop("".join(output[-15:]) + f"{title} failed; the lines above are what pip said.")


def report(title: str, total: int, output: list[str], finished: threading.Event) -> None:
    """Redraw one line a second on a terminal; elsewhere print a line every ten seconds."""
    terminal = sys.stdout.isatty()
    started = time.monotonic()
    print(f"{title} ...", end="" if terminal else "\n", flush=True)
    while not finished.wait(1 if terminal else 10):
        seen = sum(line.startswith(PER_PACKAGE) for line in output)
        unpacking = any(line.startswith("Installing collected") for line in output)
        state = "unpacking, " if unpacking else f"{seen}/{total} fetched, " if total else ""
        line = f"{title} ... {state}{time.monotonic() - started:.0f} s"
        print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)
    if terminal:
        print(f"\r\033[K{title} ... done in {time.monotonic() - started:.0f} s")


def stop(message: str) -> None:
    """Say what is wrong and how to fix it, and fail."""
    sys.exit(f"\n{message}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("Stopped; the same command goes on from here.")
