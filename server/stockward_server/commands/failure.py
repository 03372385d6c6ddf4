"""What ended a command, in words."""

from __future__ import annotations

import asyncpg
from rich.console import Console

from stockward_server.config import SettingsError


def exit_code(error: Exception) -> int | None:
    """Prints what is wrong and returns the exit code; None for an error that is a defect of the program."""
    errors = Console(stderr=True)
    if isinstance(error, SettingsError):
        errors.print("These settings cannot be used:", style="bold red")
        for problem in error.problems:
            errors.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        return 2
    if isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError):
        errors.print(f"stockward: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return None
