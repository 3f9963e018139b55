"""Checkpoints: atomic, two of them, read without running code, and skipped when damaged."""

from __future__ import annotations

import errno
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.spec.errors import SpecError
from ablate.train import checkpoint
from ablate.train.checkpoint import Checkpoints, DamagedError, latest, read, save, weights, write
from ablate.train.errors import TakenOverError
from tests.tiny import TINY

STATE = {"key": TINY.key, "run": TINY.to_dict(), "model": {"w": torch.arange(2000.0)}, "history": [{"loss": 0.1}]}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    plain = {name: value for name, value in one.items() if name != "model"}
    return all(other[name] == value for name, value in plain.items()) and torch.equal(
        one["model"]["w"], other["model"]["w"]
    )


def test_the_two_newest_stay(tmp_path: Path) -> None:
    for step in (3, 20, 100):
        save(tmp_path, 2, step, STATE | {"step": step})
    assert names(tmp_path) == ["0002-000000020.pt", "0002-000000100.pt"]
    save(tmp_path, 3, 7, STATE)
    assert names(tmp_path) == ["0002-000000100.pt", "0003-000000007.pt"]


def test_the_newest_is_of_the_latest_lease(tmp_path: Path) -> None:
    """A worker that lost its lease may have come further, and does not count."""
    save(tmp_path, 1, 500, STATE | {"step": 500})
    save(tmp_path, 2, 450, STATE | {"step": 450})
    found = latest(tmp_path)
    assert found is not None
    assert found[1]["step"] == 450


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") is None
    (tmp_path / ".0001-000000001.pt.new").write_bytes(b"half")
    (tmp_path / "notes.pt").write_bytes(b"another file")
    assert latest(tmp_path) is None


DAMAGES = {
    "empty": lambda content: b"",
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut at the end": lambda content: content[:-1],
    "no zip": lambda content: b"a" * len(content),
    "a bit of a tensor": lambda content: flipped(content, content.index(torch.arange(2000.0).numpy().tobytes()) + 99),
}


def flipped(content: bytes, at: int, bit: int = 0) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_one_falls_back(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 1, 1, STATE | {"step": 1})
    newest = save(tmp_path, 1, 2, STATE | {"step": 2})
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    found = latest(tmp_path)
    assert found is not None
    assert found[1]["step"] == 1
    assert f"{newest} is damaged" in caplog.text
    assert "using the previous checkpoint" in caplog.text


def test_a_flipped_bit_is_seen_or_without_effect(tmp_path: Path) -> None:
    """Anywhere in the file: what is read is what was written, or nothing is."""
    path = tmp_path / "c.pt"
    write(path, STATE)
    content, draw = path.read_bytes(), random.Random(0)
    seen = 0
    for _ in range(300):
        path.write_bytes(flipped(content, draw.randrange(len(content)), draw.randrange(8)))
        try:
            assert same(STATE, read(path))
        except DamagedError:
            seen += 1
    assert seen > 200


def test_no_flipped_bit_in_the_directory_of_the_file_changes_a_tensor(tmp_path: Path) -> None:
    """One of them says that the tensors are a folder, which torch then does not read."""
    path = save(tmp_path, 1, 1, STATE)
    whole = path.read_bytes()
    damaged = 0
    for at in range(whole.rindex(b"PK\x05\x06") - 46 * 20, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        try:
            assert same(read(path), STATE)
        except DamagedError:
            damaged += 1
    assert damaged > 100


def test_all_damaged_is_a_fresh_start(tmp_path: Path) -> None:
    save(tmp_path, 1, 1, STATE).write_bytes(b"")
    assert latest(tmp_path) is None


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/evil",)


def test_reading_runs_no_code(tmp_path: Path) -> None:
    torch.save({"model": Evil()}, tmp_path / "c.pt")
    with pytest.raises(DamagedError):
        read(tmp_path / "c.pt")
    (tmp_path / "d.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DamagedError):
        read(tmp_path / "d.pt")
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("breaks", ["save", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_one_and_no_rest(
    breaks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, 1, STATE)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = torch if breaks == "save" else os
    monkeypatch.setattr(target, breaks, full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 1, 2, STATE)
    monkeypatch.undo()
    assert names(tmp_path) == ["0001-000000001.pt"]
    assert latest(tmp_path) is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_torchs_own_error_gives_way_to_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".c.pt.new").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as raised:
        write(tmp_path / "c.pt", STATE)
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path / ".c.pt.new")


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(1, STATE)
    with pytest.raises(SpecError, match=f"must be of run .*, got {TINY.key}; move it away"):
        Checkpoints(tmp_path).latest(TINY.replace(seed=1))
    assert Checkpoints(tmp_path).latest(TINY) is not None


def test_who_lost_the_lease_writes_nothing(tmp_path: Path) -> None:
    lost = Checkpoints(tmp_path, held=lambda: False)
    with pytest.raises(TakenOverError, match="another worker has taken over this run"):
        lost.save(1, STATE)
    assert not lost.folder.exists()


def test_weights_are_written_and_read_back(tmp_path: Path) -> None:
    content = {"run": TINY.to_dict(), "channels": 1, "classes": ["a"], "model": {"w": torch.ones(2)}, "ema": None}
    Checkpoints(tmp_path).write_weights(content)
    found = weights(tmp_path / "weights.pt")
    assert torch.equal(found.pop("model")["w"], torch.ones(2))
    assert found == {name: value for name, value in content.items() if name != "model"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model": {}}, "lacks run, channels, classes"),
        ([1], "must contain a dict, as ablate writes it, got a list"),
        (None, "No such file"),
    ],
)
def test_a_file_without_weights_is_refused(content: Any, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    if content is not None:
        torch.save(content, path)
    with pytest.raises(SpecError, match=sentence):
        weights(path)


def test_the_checksums_are_there_to_be_checked() -> None:
    """torch can be configured to omit them."""
    assert torch.serialization.get_crc32_options()
    assert checkpoint.KEPT == 2
