"""Weight files: no code runs, damage is found, wrapped models are read, and NaN is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import clean_state_dict

from ablate.spec.errors import SpecError
from ablate.zoo.weight_files import has_checksums, read

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def model() -> torch.nn.Module:
    found: torch.nn.Module = timm.create_model("test_vit")
    return found


def saved(content: Any, where: Path) -> str:
    path = where / "checkpoint.pth"
    torch.save(content, path)
    return str(path)


def assert_equal(found: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


class Malicious:
    """An object whose unpickling calls a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_a_pickle_that_wants_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved({"model": model().state_dict(), "extra": Malicious()}, tmp_path)
    with pytest.raises(SpecError, match=r"unpickling its .*pathlib\.\S+ could run code; pass a file"):
        read(path)
    with pytest.raises(RuntimeError, match="weights_only=True blocked"):
        timm.create_model("test_vit", checkpoint_path=path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read|is not read"),
        (b"not a pickle", "is refused: it is not a pickle of tensors"),
        (None, "is damaged, or not complete: "),
    ],
    ids=["empty", "text", "truncated"],
)
def test_a_damaged_file_is_reported(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = Path(saved(model().state_dict(), tmp_path))
    path.write_bytes(path.read_bytes()[:1000] if content is None else content)
    with pytest.raises(SpecError, match=sentence) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no weight file nowhere\.pth$"):
        read("nowhere.pth")
    with pytest.raises(SpecError, match="must contain tensors by name, got a list"):
        read(saved([torch.zeros(1)], tmp_path))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("averaged", [False, True])
def test_wrapped_models_have_the_names_that_timm_gives_them(tmp_path: Path, prefix: str, averaged: bool) -> None:
    wrapped = {prefix + name: value for name, value in TENSORS.items()}
    path = saved({"state_dict_ema" if averaged else "state_dict": wrapped}, tmp_path)
    found = read(path, averaged=averaged)
    assert_equal(found, TENSORS)
    assert list(found) == list(clean_state_dict(wrapped))  # type: ignore[no-untyped-call]


def test_a_wrapper_in_a_wrapper_and_names_within_are_told_apart(tmp_path: Path) -> None:
    names = ["_orig_mod.module.head.module.weight", "modules.bias"]
    assert list(read(saved(dict.fromkeys(names, torch.ones(1)), tmp_path))) == ["head.module.weight", "modules.bias"]


def test_names_that_are_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="must contain tensors by name, got the name 0"):
        read(saved({0: torch.ones(1)}, tmp_path))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_nan_is_refused(tmp_path: Path, kind: torch.dtype) -> None:
    content = TENSORS | {"head.weight": torch.tensor([0.0, float("nan")], dtype=kind), "steps": torch.tensor(3)}
    with pytest.raises(SpecError, match=r"contains NaN in 1 of 4 tensors, such as head\.weight, so the model"):
        read(saved(content, tmp_path))
    assert read(saved({"model": TENSORS, "ema": content}, tmp_path)), "only the tensors that are used"


def test_no_flipped_byte_changes_a_tensor(tmp_path: Path) -> None:
    """Whatever byte it is, the file is refused or the tensors are as they were."""
    path = Path(saved(TENSORS, tmp_path))
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        try:
            assert_equal(read(path), TENSORS)
        except SpecError:
            refused += 1
    assert refused > 50


def test_a_flipped_byte_is_named(tmp_path: Path) -> None:
    path = Path(saved(TENSORS, tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(torch.arange(6.0).numpy().tobytes(), torch.arange(1.0, 7.0).numpy().tobytes()))
    with pytest.raises(SpecError, match=r"checkpoint\.pth is damaged: the checksum of checkpoint/data/0 is wrong"):
        read(path)


def legacy(path: Path) -> None:
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def without_checksums(path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(TENSORS, path)
    finally:
        torch.serialization.set_crc32_options(True)
    with pytest.raises(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        archive.read(archive.namelist()[0])


@pytest.mark.parametrize("write", [legacy, without_checksums, lambda path: save_file(TENSORS, path)])
def test_files_without_checksums_are_read_unchecked(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / ("x.pt" if write in (legacy, without_checksums) else "x.safetensors")
    write(path)
    found = read(path)
    assert_equal({name: found[name] for name in TENSORS}, TENSORS)
    assert not has_checksums(path)
    assert has_checksums(saved(TENSORS, tmp_path))
