"""The files under a results folder: those named after a run, and the others, which are passed over and named.

Only files called `KEY.json` can be records, so that a copy, a backup or a folder of another program changes no table.
Files that nobody would take for a record (notes, records set aside, temporary files of ours) are not named.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ablate.spec.printable import printable

RECORD = re.compile(r"[0-9a-f]{10}\.json")
SPEED = "speed"  # the folder of speed measurements
SILENT = re.compile(r"\.git\w*|\..+\.[0-9a-f]{32}|\.writable-\d+|.+\.superseded")
SHOWN = 6  # names in a sentence; the rest are counted


@dataclass(frozen=True)
class Listing:
    """The files under a results folder, sorted by path.

    Args:
        records: paths of the files that are named after a run.
        others: paths of what was passed over, each with the reason in brackets where it has one.
    """

    records: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        """Return one sentence that names what was passed over; empty if there is nothing."""
        more = len(self.others) - SHOWN
        names = "; ".join(self.others[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return printable(f"passed over, because they are not records: {names}") if names else ""


def listing(results: Path) -> Listing:
    """Return the files under a folder, without those of speed measurements."""
    found = Listing()
    top = str(results)

    def failed(error: OSError) -> None:
        if error.filename != top or not isinstance(error, FileNotFoundError | NotADirectoryError):
            found.others.append(f"{error.filename} ({error.strerror})")

    for folder, subfolders, files in os.walk(results, onerror=failed):
        for name in sorted([*subfolders, *files]):
            _sort_in(found, os.path.join(folder, name), name, is_folder=name in subfolders)
        subfolders[:] = sorted(name for name in subfolders if name[0] != "." and not name.endswith(".json"))
        if folder == top and SPEED in subfolders:
            subfolders.remove(SPEED)
    return found


def _sort_in(found: Listing, path: str, name: str, *, is_folder: bool) -> None:
    if RECORD.fullmatch(name):
        found.records.append(path)
    elif is_folder and os.path.islink(path):
        found.others.append(f"{path} (a link to a folder)")
    elif (name[0] == "." or ".json" in name) and not SILENT.fullmatch(name):
        found.others.append(path)


def refusal(path: str | Path, most: int) -> str:
    """Return why a path cannot be read as a file of at most some bytes; empty if it can.

    Raises:
        OSError: when there is no such file.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"  # to open a pipe would wait for ever
    return f"it has {found.st_size:,} bytes, more than any record" if found.st_size > most else ""
