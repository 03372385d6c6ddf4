"""A group of commands whose modules are imported when they are needed: a command line that starts at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

ENTRY_POINTS = "stockward.commands"
"""Where other distributions name their commands: `run = "stockward_dev.commands:app"`."""


class LazyCommands(MutableMapping[str, Any]):
    """The commands by name. One is imported when it is looked up, those of other distributions when they are listed or
    when no other command has the name."""

    def __init__(self, loaded: Mapping[str, Any], modules: Mapping[str, str]) -> None:
        """`modules` says where the Typer app of each further command is, such as `package.module:app`."""
        self._loaded = dict(loaded)
        self._places = {name: EntryPoint(name, place, ENTRY_POINTS) for name, place in modules.items()}
        self._others: dict[str, EntryPoint] | None = None

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            place = self._places.get(name) or self._of_others()[name]
            self._loaded[name] = commands_of(place.load())[name]
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._places, *self._loaded, *self._of_others())))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _of_others(self) -> dict[str, EntryPoint]:
        if self._others is None:
            self._others = {each.name: each for each in entry_points(group=ENTRY_POINTS)}
        return self._others


class LazyGroup(TyperGroup):
    """A group with a table of commands: `modules` says where each is, `summaries` what the list of commands says."""

    modules: ClassVar[Mapping[str, str]] = {}
    summaries: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = LazyCommands(self.commands, self.modules)
        self._is_listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the names, without an import."""
        return [*self.commands]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns the command; while commands are listed, one that is as much as a list shows."""
        if self._is_listing and cmd_name in self.summaries:
            return TyperCommand(cmd_name, help=self.summaries[cmd_name])
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help, with the list of commands."""
        with self._listing():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Returns the names that a shell may offer."""
        with self._listing():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _listing(self) -> Iterator[None]:
        self._is_listing = True
        try:
            yield
        finally:
            self._is_listing = False


@cache
def commands_of(app: typer.Typer) -> Mapping[str, Any]:
    """Returns the commands that `app` would add to another one: its own, or the group that it is."""
    holder = typer.Typer(add_completion=False)
    holder.add_typer(app)
    holder.callback()(lambda: None)
    commands: Mapping[str, Any] = get_command(holder).commands  # type: ignore[attr-defined]
    return commands
