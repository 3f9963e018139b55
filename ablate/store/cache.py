"""What can be made again, kept in the cache folder: made once, by one process, and seen by others when it is whole.

Everything in that folder may be deleted at any time when nothing runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import orjson

from ablate.spec.settings import cache_folder
from ablate.store.root import write_atomically

Kind = Literal["decoded", "facts", "rows", "unpacked"]  # what is kept: the folders there are within the cache's


def key_of(*parts: object) -> str:
    """Sixteen hex digits over what a cached thing depends on."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder(kind: Kind, key: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by `make` where it is not there yet.

    Args:
        kind: what it holds.
        make: fills the empty folder it is given.
    """
    place = cache_folder() / kind / key
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_suffix(".lock")):
        if not place.is_dir():
            _make(place, make)
    return place


def _make(place: Path, make: Callable[[Path], None]) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        make(unfinished)
        os.rename(unfinished, place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not place.is_dir():
            raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; where the file system knows no locks, the work may be done twice, with the same result."""
    with open(path, "ab") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def note(kind: Kind, key: str) -> dict[str, Any] | None:
    """A small JSON object that was kept; None where there is none that can be read."""
    try:
        content = orjson.loads(_path(kind, key).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def keep_note(kind: Kind, key: str, content: dict[str, Any]) -> None:
    """Keep a small JSON object; a cache that cannot be written only costs time."""
    with suppress(OSError):
        write_atomically(_path(kind, key), orjson.dumps(content), durable=False)


def _path(kind: Kind, key: str) -> Path:
    return cache_folder() / kind / f"{key}.json"
