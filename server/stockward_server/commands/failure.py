"""What ended a command, in words."""

from __future__ import annotations

import sys

from rich.console import Console

from stockward_server.config import SettingsError

OURS = ("stockward", "buf")
"""Distributions of the checkout: one of them that is missing is a defect."""


def exit_code(error: Exception) -> int | None:
    """Prints what is wrong and returns the exit code; None for an error that is a defect of the program."""
    errors = Console(stderr=True)
    if isinstance(error, SettingsError):
        errors.print("These settings cannot be used:", style="bold red")
        for problem in error.problems:
            errors.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        return 2
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(OURS):
        message = f"this command needs the server's packages ({error.name}): pip install 'stockward[server]'"
        errors.print(f"stockward: {message}", markup=False, highlight=False, soft_wrap=True)
        return 2
    if isinstance(error, OSError) or _is_of_the_database(error):
        errors.print(f"stockward: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return None


def _is_of_the_database(error: Exception) -> bool:
    asyncpg = sys.modules.get("asyncpg")  # which raised it, if it is one of its errors
    return asyncpg is not None and isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError)
