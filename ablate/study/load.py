"""Find a study by its name or file, execute the file and check the study; errors name the line."""

from __future__ import annotations

import linecache
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError, unknown
from ablate.study.study import Study


def folders() -> list[Path]:
    """Return the folders to search for named studies: ./studies, then those of the package."""
    package = Path(__file__).parents[1]
    return [Path("studies"), package / "named_studies", package.parent / "studies"]


def named() -> dict[str, Path]:
    """Return the named studies, each with its file; earlier folders take precedence."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("[!_]*.py")):
            found.setdefault(path.stem, path)
    return found


def load(name: str | Path) -> Study:
    """Load the study with a name, or in a file.

    Raises:
        SpecError: if there is no such study, or its file fails; the message contains the line of the file.
    """
    path = Path(name)
    if path.suffix != ".py":
        known = named()
        if str(name) not in known:
            raise unknown("study", str(name), known)
        path = known[str(name)]
    if not path.is_file():
        raise SpecError(f"there is no study file {path}; pass a path to a .py file or one of " + ", ".join(named()))
    study = execute(path).get("study")
    if not isinstance(study, Study):
        raise SpecError(f"{path} must assign a study; add a line `study = Study(...)`")
    study = replace(study, name=path.stem, source=Path(name).name)
    try:
        _check(study)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return study


def _check(study: Study) -> None:
    """Check that every scale has variants, and that every claim refers to some of them."""
    for scale in study.scales:
        study.variants(scale)
        for claim in study.claims_at(scale):
            for quantity in claim.quantities():
                study.variant(quantity, scale)


def execute(path: Path) -> dict[str, Any]:
    """Execute a study file and return its names.

    Raises:
        SpecError: if it fails; the message contains the line of the file.
    """
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 - a study is a program
    except (Exception, SystemExit) as error:
        raise SpecError(_blame(path, error)) from error
    return names


def _blame(path: Path, error: BaseException) -> str:
    """Return the error in a study file, with the line of the file."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        number = frame.lineno if frame.filename == str(path) else number
    line = linecache.getline(str(path), number or 0).strip()
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    what = reason if isinstance(error, SpecError) else f"{type(error).__name__}: {reason}"
    where = f"{path}, line {number}" if number else str(path)
    return f"{where}: {what}" + (f"\n    {line}" if line else "")
