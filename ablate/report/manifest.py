"""What a report was made from, kept in its page, so that it can be derived again and held against the records.

Two things are kept that the records do not tell, since they lie under `runs/` of the machine that trained: why runs
failed, and which have a log. All else follows from the study and the records.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from ablate.notes import failure_of
from ablate.paths import Root
from ablate.registry import SpecError

SCHEMA = 1
PACKAGES = ("matplotlib", "numpy", "pandas", "pillow", "scipy")
LOG = "log.txt"
_BLOCK = re.compile(r'<script type="application/json" id="manifest">\n(.*?)\n</script>', re.DOTALL)


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
        drawn_with: versions of the packages that the last digit of a number and the bytes of a figure depend on.
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

    @property
    def same_versions(self) -> bool:
        """Whether the figures can be expected to be the same bytes here."""
        return self.drawn_with == versions()

    def as_json(self) -> str:
        """JSON that can stand inside an HTML script element."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2).decode().replace("<", r"\u003c")

    @classmethod
    def of_page(cls, html: str) -> Manifest:
        """The manifest in a page.

        Raises:
            SpecError: when it has none that can be read.
        """
        block = _BLOCK.search(html)
        try:
            content: Any = orjson.loads(block[1]) if block else None
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise SpecError("it does not say what it was made from; write it again: ablate report STUDY")
        return cls(**{item.name: content.get(item.name) for item in fields(cls)})  # type: ignore[arg-type]


def digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """The sha256 of files, by their path under a folder."""
    found = sorted(set(paths))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def versions() -> dict[str, str]:
    """The installed versions."""
    return {name: version(name) for name in PACKAGES}
