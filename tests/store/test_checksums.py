"""Checksums of the files in a folder: any change to any file is found, and the file is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.store import checksums


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of several blocks, and an empty one."""
    monkeypatch.setattr(checksums, "BLOCK", 64)
    (tmp_path / "large").write_bytes(bytes(range(200)))
    (tmp_path / "empty").write_bytes(b"")
    checksums.write(tmp_path)
    return tmp_path


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def test_nothing_is_wrong_with_files_as_they_were_written(folder: Path) -> None:
    assert checksums.damage(folder) is None


@pytest.mark.parametrize("at", [0, 63, 64, 199])
def test_a_flipped_bit_anywhere_is_found(folder: Path, at: int) -> None:
    flip(folder / "large", at)
    assert checksums.damage(folder) == f"{folder / 'large'} has another checksum"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "large").write_bytes(b""), "/large has another checksum"),
        (lambda folder: (folder / "large").write_bytes(bytes(range(128))), "/large has another checksum"),
        (lambda folder: (folder / "empty").write_bytes(b"x"), "/empty has another checksum"),
        (lambda folder: (folder / "large").unlink(), "names other files than empty"),
        (lambda folder: (folder / "more").touch(), "names other files than empty, large, more"),
        (lambda folder: (folder / "checksums.json").unlink(), "there is no .*/checksums.json"),
        (lambda folder: (folder / "checksums.json").write_text("[]"), "names other files"),
        (lambda folder: (folder / "checksums.json").write_text('{"large": 1, "empty": 2}'), "another checksum"),
        (lambda folder: flip(folder / "checksums.json"), "cannot be read"),
    ],
    ids=["emptied", "cut", "longer", "missing", "more", "no checksums", "other JSON", "other shape", "no JSON"],
)
def test_other_damage_is_found(folder: Path, change: Callable[[Path], None], reason: str) -> None:
    change(folder)
    assert re.search(reason, checksums.damage(folder) or "")
