"""What a report was made from, kept beside it, so that it can be derived again and compared with the records.

Two things are kept that the records do not tell, since they lie under `runs/` of the machine that trained: why runs
failed, and which have a log. All else follows from the study and the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from ablate.dispatch.notes import failure_of
from ablate.spec.errors import SpecError
from ablate.store.root import Root

NAME = "manifest.json"
SCHEMA = 1
PACKAGES = ("matplotlib", "numpy", "pandas", "pillow", "scipy")
LOG = "log.txt"
_ASK = "write it again: ablate report STUDY"


@dataclass(frozen=True)
class Local:
    """What lies beside the records: the errors of failed runs, and the runs with a log, by key."""

    failures: Mapping[str, str] = field(default_factory=dict)
    logs: tuple[str, ...] = ()

    @classmethod
    def look(cls, root: Root, keys: Iterable[str]) -> Local:
        """What the folder `runs/` holds now; paths of the machine are left out of the errors."""
        failures, logs = {}, []
        for key in keys:
            folder = root.run_folder(key)
            if failure := failure_of(folder):
                failures[key] = str(failure.get("error", "")).replace(str(root.path), ".")
            if (folder / LOG).is_file():
                logs.append(key)
        return cls(failures, tuple(logs))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a report was made from.

    Args:
        study: what a command calls it: its name, or its file.
        seeds: only the first so many; None is all there are.
        models: whether the models were held against the control's.
        records: the digest of every record, by key.
        speeds: the digest of every measurement of speed, by its path under `results/`.
        drawn_with: versions of the packages that counted and drew.
    """

    study: str
    scale: str
    seeds: int | None
    models: bool
    records: Mapping[str, str]
    speeds: Mapping[str, str]
    failures: Mapping[str, str]
    logs: tuple[str, ...]
    drawn_with: Mapping[str, str]
    schema: int = SCHEMA

    @property
    def local(self) -> Local:
        """What lay beside the records."""
        return Local(self.failures, tuple(self.logs))

    def as_json(self) -> str:
        """The file's text."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest in a report's folder.

        Raises:
            SpecError: when it has none that can be read.
        """
        try:
            content: Any = orjson.loads((folder / NAME).read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise SpecError(f"cannot read {folder / NAME}: {error}; {_ASK}") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise SpecError(f"{folder / NAME} does not say what the report was made from; {_ASK}")
        return cls(**{item.name: content.get(item.name) for item in fields(cls)})  # type: ignore[arg-type]


def digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """The sha256 of files, by their path under a folder."""
    found = sorted(set(paths))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def versions() -> dict[str, str]:
    """The installed versions."""
    return {name: version(name) for name in PACKAGES}
