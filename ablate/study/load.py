"""Find a study by its name or file, execute the file and check the study; errors name the line."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError, unknown
from ablate.spec.usercode import contained
from ablate.study.checks import check_name
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
    check_name("the name of a study", path.stem)
    if path.stem.startswith("-"):
        raise SpecError(
            f"the name of a study must not begin with '-', as an option does, got {path.stem!r}; rename {path}"
        )
    study = execute(path).get("study")
    if not isinstance(study, Study):
        raise SpecError(f"{path} must assign a study; add a line `study = Study(...)`")
    study = replace(study, name=path.stem, source=Path(name).name, argument=shlex.quote(str(name)))
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
    with contained(path):
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), names)  # noqa: S102 - a study is a program
    return names
