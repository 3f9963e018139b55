"""What a report was made from, stored with it, so that it can be derived again and compared with the records.

It stores two things that are not in the records, but under `runs/` of the machine that trained: the errors of failed
runs, and the runs with a log. Everything else follows from the study and the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from ablate.dispatch.notes import read_failure
from ablate.spec.errors import SpecError
from ablate.spec.printable import printable
from ablate.store.json_files import Unreadable
from ablate.store.root import Root

NAME = "manifest.json"
SCHEMA = 1
PACKAGES = ("matplotlib", "numpy", "pandas", "pillow", "scipy")
LOG = "log.txt"
_HINT = "write it again: ablate report STUDY"


@dataclass(frozen=True)
class Local:
    """The state of `runs/`: the errors of failed runs, and the runs with a log, by key."""

    failures: Mapping[str, str] = field(default_factory=dict)
    logs: tuple[str, ...] = ()

    @classmethod
    def read(cls, root: Root, keys: Iterable[str]) -> Local:
        """Read the current state of `runs/`; absolute paths are removed from the errors."""
        failures, logs = {}, []
        for key in keys:
            folder = root.run_folder(key)
            if failure := read_failure(folder):
                error = str(failure) if isinstance(failure, Unreadable) else failure["error"]
                failures[key] = printable(error.replace(str(root.path), "."))
            if (folder / LOG).is_file():
                logs.append(key)
        return cls(failures, tuple(logs))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a report was made from.

    Args:
        study: its name or file, as given to commands.
        seeds: only the first N seeds; None is all of them.
        models: whether the models were compared with the control's.
        records: the digest of every record, by key.
        speeds: the digest of every speed measurement, by its path under `results/`.
        drawn_with: the versions of the packages that computed and drew.
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
        """Return the state of `runs/` when the report was written."""
        return Local(self.failures, tuple(self.logs))

    def as_json(self) -> str:
        """Return the text of the file."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest in a report's folder.

        Raises:
            SpecError: if it is missing or unreadable.
        """
        try:
            content: Any = orjson.loads((folder / NAME).read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise SpecError(f"cannot read {folder / NAME}: {error}; {_HINT}") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise SpecError(f"{folder / NAME} must be a manifest of schema {SCHEMA}; {_HINT}")
        return cls(**{item.name: content.get(item.name) for item in fields(cls)})  # type: ignore[arg-type]


def digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of files, by their path under a folder."""
    found = sorted(set(paths))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def versions() -> dict[str, str]:
    """Return the installed versions."""
    return {name: version(name) for name in PACKAGES}
