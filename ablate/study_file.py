"""A study's file, executed: the names it leaves behind, or what is wrong with the file's own line."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path
from typing import Any

from ablate.registry import SpecError


def execute(path: Path) -> dict[str, Any]:
    """The names a study file leaves behind.

    Raises:
        SpecError: when it fails; the message holds the line of the file that did.
    """
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 - a study is a program
    except (Exception, SystemExit) as error:
        raise SpecError(_blame(path, error)) from error
    return names


def _blame(path: Path, error: BaseException) -> str:
    """What went wrong in a study file, with the file's own line."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        number = frame.lineno if frame.filename == str(path) else number
    line = linecache.getline(str(path), number or 0).strip()
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    what = reason if isinstance(error, SpecError) else f"{type(error).__name__}: {reason}"
    where = f"{path}, line {number}" if number else str(path)
    return f"{where}: {what}" + (f"\n    {line}" if line else "")
