"""The command line: one command a question. No option touches the science but --scale and --seeds.

Exit codes: 0 all well, 1 some run failed, 2 the request was wrong, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from ablate.cli import bench, clean, data, evaluate, jobs, report, results, runs, studies, verify
from ablate.dispatch.launch import LaunchError
from ablate.spec.errors import SpecError

FAILED, WRONG, INTERRUPTED = 1, 2, 130


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """A command whose returned number is the exit code, and whose user's mistakes are one sentence."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        raise typer.Exit(_code(lambda: command(*args, **kwargs)))

    return run


def _code(call: Callable[[], int | None]) -> int:
    try:
        return call() or 0
    except (SpecError, LaunchError) as error:
        typer.echo(f"ablate: {error}", err=True)
        return WRONG if isinstance(error, SpecError) else FAILED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader of a pipe, such as head, is gone: say nothing more, not at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        typer.echo(f"ablate: {error.strerror}: {error.filename}; wanted is a place to read and write", err=True)
        return WRONG
    except KeyboardInterrupt:
        typer.echo("ablate: interrupted", err=True)
        return INTERRUPTED


app = typer.Typer(
    name="ablate",
    help="Controlled ablations of vision models: plan, train, compare.\n\nExample: ablate run quickstart",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (studies, runs, jobs, results, report, verify, evaluate, bench, clean, data):
    for name, command in module.COMMANDS.items():
        app.command(name)(guarded(command))


def main() -> None:
    """Run the command line and exit with its code."""
    app()
