"""Execute files of the user's own: an error in one is a sentence with its line, and nothing else changes.

A study, mixer, channel mixer, stem, plot or dataset may print, read, exit, change the current folder or set an option
of torch for the whole process. Output goes to standard error, since standard output may be JSON; changes are undone,
and those that would change the results of other variants are refused.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.printable import one_line, printable

LONGEST = 300  # letters of an error's own text
PACKAGE = Path(__file__).parents[1]
# Folders of the package to which users add files.
FOLDERS = ("model/mixers", "model/channels", "model/stems", "data/datasets", "report/plots")
Callers = Mapping[Path, Mapping[str, str]]
EXECUTED: set[str] = set()  # files outside the package that were executed
# Options of torch that apply to the whole process: how to read and set each, and its value in a new process.
OPTIONS: Mapping[str, tuple[str, str, Any]] = {
    "default dtype": ("get_default_dtype", "set_default_dtype", "torch.float32"),
    "deterministic algorithms": ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms", False),
    "gradients": ("is_grad_enabled", "set_grad_enabled", True),
    "precision of matrix products": ("get_float32_matmul_precision", "set_float32_matmul_precision", "highest"),
    "anomaly detection": ("is_anomaly_enabled", "set_anomaly_enabled", False),
    "default device": ("get_default_device", "set_default_device", "cpu"),
}


@contextlib.contextmanager
def contained(path: Path, callers: Callers | None = None) -> Iterator[None]:
    """Execute code of a file of the user's own within the block.

    Args:
        callers: what the callers of functions pass, in words, by file and name of the function.

    Raises:
        SpecError: when it raises an error or exits, or changes an option of torch for the whole process.
    """
    EXECUTED.add(str(path))
    folder, before = os.getcwd(), _options()
    try:
        with contextlib.redirect_stdout(sys.stderr), _no_input():
            yield
    except (Exception, SystemExit) as error:
        raise SpecError(sentence(error, path, callers)) from error
    finally:
        os.chdir(folder)
        changed = _restore(before)
    if changed:
        raise SpecError(f"{path} changes {changed} for every run; remove the line that sets it")


@contextlib.contextmanager
def _no_input() -> Iterator[None]:
    """Give no input: a file that waits for some would wait for ever where there is no terminal."""
    before = sys.stdin
    with open(os.devnull, encoding="utf-8") as empty:
        sys.stdin = empty
        try:
            yield
        finally:
            sys.stdin = before


def _options() -> dict[str, Any]:
    """Return the options of torch; their values in a new process if torch is not imported."""
    torch = sys.modules.get("torch")
    if not hasattr(torch, "set_anomaly_enabled"):  # not imported, or only in part
        return {name: default for name, (_, _, default) in OPTIONS.items()}
    return {name: getattr(torch, read)() for name, (read, _, _) in OPTIONS.items()}


def _restore(before: Mapping[str, Any]) -> str:
    """Undo changed options of torch, and return the first of them in words; empty if there is none."""
    torch: Any = sys.modules.get("torch")
    changed = [(name, value) for name, value in _options().items() if str(value) != str(before[name])]
    for name, _ in changed:
        old = torch.float32 if before[name] == "torch.float32" else before[name]
        getattr(torch, OPTIONS[name][1])(old)
    return "".join(f"torch's {name} from {before[name]} to {value}" for name, value in changed[:1])


def sentence(error: BaseException, path: Path, callers: Callers | None = None) -> str:
    """Return an error of the user's code in one sentence: its file, line, and what is wrong; and the line itself.

    Args:
        path: the file that was executed, for an error that no line of the user's own raised.
        callers: what the callers of functions pass, in words, by file and name of the function.
    """
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path:
        file, number, passed = str(path), error.lineno or 0, ""
    elif found := line_of(error):
        file, number, passed = *found, ""
    elif isinstance(error, SpecError):
        files = [str(file) for file in callers or [path]]
        named = any(file in str(error) for file in files)
        return str(error) if named else f"{' or '.join(files)}: {error}"
    else:
        file, number, passed = _refused_call(error, callers or {}) or (str(path), 0, "")
    linecache.checkcache(file)
    line = printable(linecache.getline(file, number).strip())
    where = f"{file}, line {number}" if number else file
    return f"{where}: {_reason(error)}{passed or _hint(error, file)}" + (f"\n    {line}" if line else "")


def _refused_call(error: BaseException, callers: Callers) -> tuple[str, int, str] | None:
    """Return the file, line and caller of a function that got other arguments than it takes, where it is known."""
    found = re.match(r"(?:.*\.)?(\w+)\.(\w+)\(\) |(\w+)\(\) ", str(error)) if isinstance(error, TypeError) else None
    if not found:
        return None
    owner, function = found[1], found[2] or found[3]
    for path, passed in callers.items():
        body: list[ast.stmt] = ast.parse(path.read_bytes()).body
        inside = [
            node.body
            for node in ast.walk(ast.Module(body, []))
            if isinstance(node, ast.ClassDef) and node.name == owner
        ]
        for node in (one for nodes in (inside if owner else [body]) for one in nodes):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                return str(path), node.lineno, f"; {passed[function]}" if function in passed else ""
    return None


def _reason(error: BaseException) -> str:
    if isinstance(error, SpecError):
        return str(error)
    text = one_line(str(error.msg if isinstance(error, SyntaxError) else error))
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _hint(error: BaseException, file: str) -> str:
    """Return what to do about a module next to a file: it is not part of the key of a run or of its record."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if not name or not any(Path(file).with_name(name.split(".")[0] + end).exists() for end in (".py", "")):
        return ""
    return f"; a file of your own cannot import its neighbours: write it in one file, or install {name!r} as a package"


def line_of(error: BaseException) -> tuple[str, int] | None:
    """Return the file and line of the user's own that an error passed last; None if it passed none."""
    found = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if is_users(frame.f_code.co_filename):
            found = frame.f_code.co_filename, number
    return found


def is_users(file: str) -> bool:
    """Return whether a file was executed here, or is in a folder of the package to which users add files."""
    path = Path(file)
    return file in EXECUTED or (
        not path.name.startswith("_") and any(path.parent == PACKAGE / folder for folder in FOLDERS)
    )


def called(path: Path, call: Callable[[], Any]) -> Any:
    """Return the result of a call of the user's code; an error in it names the file and line."""
    with contained(path, {path: {}}):
        return call()
