"""The root folder: records, runs in progress and reports, and atomic writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ablate.spec.errors import SpecError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # errors of a full disk, a quota and a limit on the size of files


@dataclass(frozen=True)
class Root:
    """The folder that a study works in: `results/` (small, permanent), `runs/` (large, temporary), `reports/`."""

    path: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> Root:
        """Return the given root, else ABLATE_ROOT, else the current folder, as an absolute path for workers."""
        root = Path(path or os.environ.get("ABLATE_ROOT") or ".").absolute()
        if root.exists() and not root.is_dir():
            raise SpecError(f"the root must be a folder, got the file {root}; see --root")
        return cls(root)

    @property
    def results(self) -> Path:
        """Folder of records, one JSON file per run, at any depth."""
        return self.path / "results"

    @property
    def runs(self) -> Path:
        """Folder of requests, leases, progress, logs and failure notes."""
        return self.path / "runs"

    @property
    def reports(self) -> Path:
        """Folder of reports, one folder per study and scale."""
        return self.path / "reports"

    def run_folder(self, key: str) -> Path:
        """Return the folder of a run in progress."""
        return self.runs / key

    def make_writable(self) -> None:
        """Create the three folders and check that each is writable.

        Raises:
            SpecError: when one cannot be created or written.
        """
        for folder in (self.results, self.runs, self.reports):
            probe = folder / f".writable-{os.getpid()}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise SpecError(
                    f"cannot write in {folder}: {error.strerror}; choose a writable folder with --root"
                ) from None


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that readers see either the old or the new content, never a part.

    Args:
        durable: wait until the content would survive a power failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with naming(path, temporary), open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Name a file in errors of the system within the block that name none, as those of a full disk, or a temporary."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
