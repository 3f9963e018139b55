"""How a command ends: its exit code, and one sentence about an error."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TextIO

import typer

from ablate.spec.errors import SpecError
from ablate.spec.printable import one_line, printable
from ablate.spec.usercode import PACKAGE, line_of, sentence
from ablate.store.root import FULL

FAILED, WRONG, INTERRUPTED = 1, 2, 130
OF_OUTPUT = (errno.EBADF, errno.EIO)  # errors of a stream, which have no file name
HINTS = dict.fromkeys(FULL, "free disk space") | {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u)",
    errno.ENOMEM: "raise the limit of memory (ulimit -v), or free some",
}


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Return a command that exits with the number it returns, and reports a user's mistake in one sentence."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        raise typer.Exit(_code(lambda: command(*args, **kwargs)))

    return run


def exiting(call: Callable[[], object]) -> None:
    """Call what ends with SystemExit; where its last output cannot be written, end with a sentence about that."""
    try:
        try:
            call()
        finally:
            sys.stdout.flush()
    except OSError as error:  # of a help page, or of output that was not written before
        sys.exit(_of_system(error))


def say(message: str) -> None:
    """Print a sentence of this program to standard error, if that takes it."""
    try:
        typer.echo(f"ablate: {printable(message)}", err=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Write no more to a stream, nor what it still holds: Python would try again at its end, and exit with 120."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _code(call: Callable[[], int | None]) -> int:
    try:
        return call() or 0
    except SpecError as error:
        say(str(error))
        return WRONG
    except OSError as error:
        return _of_system(error)
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except Exception as error:
        from ablate.dispatch.launch import LaunchError

        if isinstance(error, LaunchError):
            say(str(error))
            return FAILED
        if line_of(error):
            say(sentence(error, PACKAGE))
            return WRONG
        if isinstance(error, MemoryError):
            say("this machine is out of memory; free some, or raise its limit (ulimit -v)")
            return FAILED
        if isinstance(error, ImportError) and not (error.name or "").startswith("ablate"):
            say(f"cannot import {error.name or error.path or 'a library'}: {one_line(str(error))}")
            return FAILED
        raise


def _of_system(error: OSError) -> int:
    """Report an error of the system, and return the exit code: that of a failure where a disk is full."""
    ended = isinstance(error, BrokenPipeError)  # the reader of a pipe, such as head, has ended
    if error.filename is None and (ended or error.errno in (*FULL, *OF_OUTPUT)):
        _discard(sys.stdout)
        if ended:
            return 0
        say(f"cannot write the output: {error.strerror}")
        return FAILED
    what = "the system refuses a request" if error.filename is None else f"cannot use {os.fsdecode(error.filename)}"
    hint = f"; {HINTS[error.errno]}" if error.errno in HINTS else ""
    say(f"{what}: {error.strerror or error}{hint}")
    return FAILED if error.errno in HINTS else WRONG
