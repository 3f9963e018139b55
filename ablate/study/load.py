"""Find a study by its name or file, execute the file and check the study; errors name the line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError, unknown
from ablate.spec.printable import shown
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
    if not isinstance(name, str | Path):
        raise SpecError(f"a study must be a Study, its name or the path of its file, got {shown(name)}")
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


def every_study(root: Path, files: Iterable[str | Path] = ()) -> list[Study]:
    """Return the named studies, those in `studies/` under a root, and those in other files.

    Raises:
        SpecError: when one cannot be loaded, so that its runs are not known.
    """
    local = sorted(root.glob("studies/[!_]*.py"))
    try:
        return [load(path) for path in dict.fromkeys([*named().values(), *local, *map(Path, files)])]
    except SpecError as error:
        raise SpecError(f"{error}; every study must load, so that its runs are kept") from None


def as_study(study: Study | str | Path) -> Study:
    """Return a study: itself, or the one with a name or in a file.

    Raises:
        SpecError: as `load` does; and for a study made in Python whose variants or claims do not hold together.
    """
    if not isinstance(study, Study):
        return load(study)
    if not study.source:  # `load` has checked the others
        _check(study)
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
