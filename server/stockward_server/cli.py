"""The command `stockward`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from stockward_server.commands import COMMANDS
from stockward_server.commands.lazy_group import LazyGroup


class Commands(LazyGroup):
    """All subcommands, those of other distributions included, such as `run` and `demo` of stockward-dev."""

    modules: ClassVar[Mapping[str, str]] = {
        name: f"stockward_server.commands.{each.module}:app" for name, each in COMMANDS.items()
    }
    summaries: ClassVar[Mapping[str, str]] = {name: each.summary for name, each in COMMANDS.items()}


app = typer.Typer(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from stockward_server.commands.version import version

        version()
        raise typer.Exit


@app.callback()
def stockward(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Commerce core: catalog, inventory and orders over gRPC, with durable events and webhooks."""


def main() -> None:
    """Entry point. Wrong settings are named and end it with exit code 2, a service that cannot be reached with 1."""
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        from stockward_server.commands.failure import exit_code

        code = exit_code(error)
        if code is None:
            raise
        raise SystemExit(code) from None


if __name__ == "__main__":
    main()
