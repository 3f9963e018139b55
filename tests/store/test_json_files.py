"""Small JSON files are read against a shape; what has another one is named with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from ablate.store.json_files import Unreadable, checked, read

REQUIRED = {"name": str, "count": int, "seconds": float}
OPTIONAL = {"done": bool, "more": dict}
FINE = {"name": "a", "count": 1, "seconds": 2}


def parse(content: Any) -> dict[str, Any]:
    return checked(content, REQUIRED, OPTIONAL)


def test_declared_fields_are_returned(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read(path, parse) is None
    path.write_bytes(orjson.dumps(FINE | {"done": True, "more": None, "unknown": 7}))
    assert read(path, parse) == FINE | {"done": True}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "it must be a JSON object, got []"),
        (None, "it must be a JSON object, got null"),
        ({"name": "a"}, "it lacks count, seconds"),
        (FINE | {"name": 7}, "name must be text, got 7"),
        (FINE | {"count": True}, "count must be an integer, got true"),
        (FINE | {"count": 1.5}, "count must be an integer, got 1.5"),
        (FINE | {"seconds": "1"}, 'seconds must be a finite number, got "1"'),
        (FINE | {"seconds": None}, "seconds must be a finite number, got null"),
        (FINE | {"more": [1]}, "more must be an object, got [1]"),
        (FINE | {"name": ["x" * 100]}, f'name must be text, got ["{37 * "x"}…'),
    ],
)
def test_another_shape_is_named(tmp_path: Path, content: Any, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(orjson.dumps(content))
    assert read(path, parse) == Unreadable(path, reason)
    assert str(read(path, parse)) == f"{path} is unreadable: {reason}"


@pytest.mark.parametrize("content", [b"", b"{", b"NaN", b"1e999", b"\xff", b"[" * 5000, b'{"name": Infinity}'])
def test_what_is_not_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    found = read(path, parse)
    assert isinstance(found, Unreadable)
    assert found.reason.startswith("it is not JSON (")


def test_a_folder_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        path = tmp_path / name
        assert read(path, parse) == Unreadable(path, "it is not a regular file")
