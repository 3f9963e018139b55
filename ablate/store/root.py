"""Where things lie under the root: records, work in progress, reports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ablate.spec.errors import SpecError


@dataclass(frozen=True)
class Root:
    """The folder a study works in: `results/` (small, kept), `runs/` (heavy, not kept), `reports/`."""

    path: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> Root:
        """The root given, else ABLATE_ROOT, else the current folder; absolute, so that workers agree on it."""
        root = Path(path or os.environ.get("ABLATE_ROOT") or ".").absolute()
        if root.exists() and not root.is_dir():
            raise SpecError(f"the root {root} is a file; wanted is a folder, see --root")
        return cls(root)

    @property
    def results(self) -> Path:
        """One JSON a run, at any depth."""
        return self.path / "results"

    @property
    def runs(self) -> Path:
        """Requests, leases, progress, logs and failure notes."""
        return self.path / "runs"

    @property
    def reports(self) -> Path:
        """One folder a study and scale."""
        return self.path / "reports"

    def run_folder(self, key: str) -> Path:
        """Where a run in progress keeps its files."""
        return self.runs / key

    def make_writable(self) -> None:
        """Make the three folders and try to write in each.

        Raises:
            SpecError: when one cannot be made or written.
        """
        for folder in (self.results, self.runs, self.reports):
            probe = folder / f".writable-{os.getpid()}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise SpecError(
                    f"cannot write in {folder}: {error.strerror}; wanted is a folder this user may write, see --root"
                ) from None


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        durable: wait until it would outlive a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
