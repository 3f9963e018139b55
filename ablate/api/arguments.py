"""The arguments that the functions share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ablate.study.study import Study

StudyLike = Study | str | Path
Folder = str | Path | None
Paths = Mapping[str, str | Path]


def absolute(data: Paths | None) -> dict[str, str]:
    """Return absolute paths, for workers in other folders."""
    return {name: str(Path(path).expanduser().absolute()) for name, path in (data or {}).items()}


def listed(names: Iterable[str]) -> list[str]:
    """Return names as a list; one name alone is a list of one."""
    return [names] if isinstance(names, str) else [*names]
