"""The cache: derived data, written once by one process and visible to others only when complete.

The cache folder may be deleted whenever nothing runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

import orjson

from ablate.spec.printable import printable
from ablate.spec.settings import cache_folder
from ablate.store import checksums
from ablate.store.root import naming, write_atomically

LOG = logging.getLogger("ablate")
HEAD, BETWEEN = b'{"checksum":"', b'","content":'  # a note: a JSON object with another, and a sha256 over it
Kind = Literal["decoded", "facts", "probes", "rows", "unpacked"]  # the subfolders of the cache


def key_of(*parts: object) -> str:
    """Return sixteen hex digits over everything that an entry of the cache depends on."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder(kind: Kind, key: str, fill: Callable[[Path], None]) -> Path:
    """Return the path of a folder in the cache; create it if it does not exist, or again if a file in it is damaged.

    Args:
        kind: subfolder of the cache.
        key: name of the folder, from `key_of`.
        fill: writes the content into the empty folder that it is passed.
    """
    path = cache_folder() / kind / key
    if path.is_dir() and not checksums.damage(path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path.with_suffix(".lock")):
        if path.is_dir() and (reason := checksums.damage(path)):
            LOG.warning("%s; this part of the cache is made again", reason)
            _remove(path)
        if not path.is_dir():
            _create(path, fill)
    return path


def _remove(path: Path) -> None:
    """Remove a folder; other processes never see a part of it."""
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    os.rename(path, aside)
    shutil.rmtree(aside)


def _create(path: Path, fill: Callable[[Path], None]) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with naming(path):
            fill(unfinished)
            checksums.write(unfinished)
        os.rename(unfinished, path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not path.is_dir():
            raise


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process in at a time. Without file locks, two may do the same work, with the same result."""
    with open(path, "ab") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


_BYPASSED = ContextVar("_BYPASSED", default=False)


@contextmanager
def bypassed() -> Iterator[None]:
    """Read no notes within this context, so that everything is derived again."""
    token = _BYPASSED.set(True)
    try:
        yield
    finally:
        _BYPASSED.reset(token)


def read_note(kind: Kind, key: str) -> dict[str, Any] | None:
    """Return a small JSON object from the cache; None if there is none, or a damaged one, which is named in the log."""
    return None if _BYPASSED.get() else read_sealed(_path(kind, key))


def write_note(kind: Kind, key: str, content: dict[str, Any]) -> None:
    """Write a small JSON object to the cache; ignore a cache that cannot be written, and names that are not UTF-8."""
    with suppress(OSError, orjson.JSONEncodeError):
        write_sealed(_path(kind, key), content)


def _path(kind: Kind, key: str) -> Path:
    return cache_folder() / kind / f"{key}.json"


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as JSON, in another object with a sha256 over it."""
    body = orjson.dumps(content)
    write_atomically(path, HEAD + _digest(body) + BETWEEN + body + b"}", durable=False)


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the object in a file of `write_sealed`; None if there is none, or a damaged one, which is named."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    checksum, _, body = data.removeprefix(HEAD)[:-1].partition(BETWEEN)
    if data == HEAD + checksum + BETWEEN + body + b"}" and checksum == _digest(body):
        content = orjson.loads(body)
        return content if isinstance(content, dict) else None
    if not _without_checksum(data):
        LOG.warning("the cache %s is damaged: its checksum does not match; it is made anew", printable(str(path)))
    return None


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _without_checksum(data: bytes) -> bool:
    """Whether a note is whole, but of a version that wrote no checksums."""
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(content, dict) and "checksum" not in content
