"""Checksums of the files in a folder, to find those that were damaged after they were written."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

NAME = "checksums.json"  # in the folder
BLOCK = 1 << 24  # bytes with one checksum
THREADS = 4


def write(folder: Path) -> None:
    """Write the sizes and checksums of the files in a folder, which are complete now."""
    found = {path.name: _describe(path) for path in _files(folder)}
    (folder / NAME).write_bytes(orjson.dumps(found))


def damage(folder: Path) -> str | None:
    """Return what is wrong with a folder, naming the file; None if every file is as it was written."""
    try:
        expected = orjson.loads((folder / NAME).read_bytes())
        names = [path.name for path in _files(folder)]
        if not isinstance(expected, dict) or sorted(expected) != names:
            return f"{folder / NAME} names other files than {', '.join(names)}"
        wrong = [name for name in names if _describe(folder / name) != expected[name]]
    except FileNotFoundError as error:
        return f"there is no {error.filename}"
    except (OSError, orjson.JSONDecodeError) as error:
        return f"{folder} cannot be read: {error}"
    return f"{folder / wrong[0]} has another checksum" if wrong else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != NAME)


def _describe(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with open(path, "rb") as file, ThreadPoolExecutor(THREADS) as pool:
        # zlib and the system work in parallel: both release the interpreter lock.
        of_blocks = pool.map(lambda start: zlib.crc32(os.pread(file.fileno(), BLOCK, start)), range(0, size, BLOCK))
        return {"size": size, "crc32": list(of_blocks)}
