"""A look at a dataset finds the images that a run would find to be corrupt, and EXIF orientation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.data import look as module
from ablate.data.datasets import Encoded, _directory
from ablate.data.look import look
from tests.tiny import TINY, as_parquet, image_folder, odd_folder

RUN = TINY.replace(dataset="mine", holdout=0.0)


def loaded(folder: Path) -> Encoded:
    return _directory.load(RUN, folder)


@pytest.mark.parametrize("layout", ["folder", "parquet"])
def test_orientation_is_counted_where_timm_ignores_it(tmp_path: Path, layout: str) -> None:
    """In TIFF, Pillow itself turns the image."""
    folder = odd_folder(tmp_path / "odd")
    found = look(loaded(folder if layout == "folder" else as_parquet(folder, tmp_path / "parquet")))
    # In both parts, seven JPEG and seven PNG with an orientation other than 1.
    assert (found.total, found.seen, found.turned, found.corrupt) == (48, 48, 28, [])
    assert str(found) == (
        "all 48 images decoded: 28 with an EXIF orientation, ignored as in timm unless exif_transpose=True"
    )


def test_corrupt_images_are_named_with_the_reason(tmp_path: Path) -> None:
    folder = image_folder(tmp_path, {"a": 2, "b": 2}, {"a": 1, "b": 1})
    whole = (folder / "train" / "a" / "0.png").read_bytes()
    (folder / "train" / "a" / "0.png").write_bytes(b"no image")
    (folder / "val" / "b" / "0.png").write_bytes(whole[: len(whole) - 30])
    found = look(loaded(folder))
    assert found.corrupt[0] == ("train/a/0.png", "UnidentifiedImageError: cannot identify image file")
    assert [name for name, _ in found.corrupt] == ["train/a/0.png", "val/b/0.png"]
    assert str(found).startswith("all 6 images decoded: 2 corrupt, such as train/a/0.png (Unidentified")
    assert "; a run stops, since more than 0.1 % of its train and test part are corrupt; fix them" in str(found)


def test_of_many_images_it_decodes_some_from_the_first_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    monkeypatch.setattr(module, "BLOCKS", 3)
    data = loaded(image_folder(tmp_path, {"a": 8, "b": 1}, {"a": 1, "b": 1}))
    assert str(look(data)) == "6 of 11 images decoded: none corrupt, none with an EXIF orientation"
    assert module._blocks(11) == [0, 1, 4, 5, 9, 10]
