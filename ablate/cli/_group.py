"""The command group: commands are imported when they are used, and their options are shown in groups."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from ablate.cli._ending import WRONG, guarded, say
from ablate.cli._renamed import renamed
from ablate.spec.errors import known_names

WIDTH = 100  # columns of help, at most
EXAMPLES = "Examples:\n"
KEEP_LINES = "\b\n"  # before a paragraph of help whose lines must not be joined
WHAT, OPTIONS = "Arguments", "Options"


@dataclass(frozen=True)
class Entry:
    """A command of the group.

    Args:
        module: the module of `ablate.cli` that holds it.
        summary: the first line of its docstring, repeated here so that the list of commands imports nothing.
        function: its function; by default it has the command's name.
    """

    module: str
    summary: str
    function: str = ""


class Command(TyperCommand):
    """A command that refuses old option names, shows examples line by line and options in groups."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, unless one has an old name."""
        _refuse_old_names(ctx, [self.name or "", *args])
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = _suggesting(error.message)
            raise

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the docstring; the lines of examples are kept."""
        self.help = (self.help or "").replace(f"\n\n{EXAMPLES}", f"\n\n{KEEP_LINES}{EXAMPLES}")
        super().format_help_text(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write each group of options under its name."""
        groups: dict[str, list[tuple[str, str]]] = {WHAT: [], OPTIONS: []}
        for parameter in self.get_params(ctx):
            default = WHAT if isinstance(parameter, TyperArgument) else OPTIONS
            if record := parameter.get_help_record(ctx):
                group = getattr(parameter, "rich_help_panel", None) or default
                groups.setdefault(group, []).append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class _Commands(Mapping[str, TyperCommand]):
    """Commands by name, each imported when it is first looked up."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        self.loaded: dict[str, TyperCommand] = {}

    def __getitem__(self, name: str) -> TyperCommand:
        if name not in self.loaded:
            self.loaded[name] = _load(name, self.entries[name])
        return self.loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class Group(TyperGroup):
    """A command group whose commands are imported on first use.

    A subclass sets `sections`: the commands of each section of the help.
    """

    sections: Mapping[str, Mapping[str, Entry]]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        commands: Any = _Commands({name: one for section in self.sections.values() for name, one in section.items()})
        self.commands = commands

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments begin with, unless it has an old name."""
        _refuse_old_names(ctx, args)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: Any, formatter: Any) -> None:
        """Write the commands with their summaries, in sections of one width."""
        width = max(map(len, self.commands))
        for section, entries in self.sections.items():
            with formatter.section(section):
                formatter.write_dl([(f"{name:{width}}", entry.summary) for name, entry in entries.items()])


def _load(name: str, entry: Entry) -> TyperCommand:
    function = getattr(import_module(f"ablate.cli.{entry.module}"), entry.function or name)
    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(name, cls=Command)(guarded(function))
    command = typer.main.get_command(one)
    assert isinstance(command, TyperCommand)
    return command


def _suggesting(message: str) -> str:
    """Return typer's message about a wrong choice with the most similar choice."""
    found = re.search(r"'(.*)' is not one of (.*?)\.?$", message)
    if not found:
        return message
    choices = re.findall(r"'(.*?)'", found[2])
    return f"unknown value {found[1]!r}: {known_names(found[1], choices)}."


def _refuse_old_names(ctx: Any, arguments: Sequence[str]) -> None:
    """Exit with a sentence where a command or an option has an old name."""
    found = None if ctx.resilient_parsing else renamed(arguments)
    if found:
        old, new, line = found
        say(f"{old} is called {new} now; run: {shlex.join(['ablate', *line])}")
        ctx.exit(WRONG)
