"""Images in memory: placed on a canvas, or decoded once and cached."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablate.data.datasets import Arrays, _directory
from ablate.data.images import Share
from ablate.data.resident import Decoded, Resident, decode_to_cache
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.execute import execute
from tests.tiny import TINY, noise, noise_folder

CPU = torch.device("cpu")
IMAGES = 60


def data(*, shifted: bool, channels: int = 1, side: int = 8) -> Arrays:
    """Images without a black pixel; in each, every pixel tells where it stood."""
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (IMAGES, side, side, channels), dtype=np.uint8)
    parts: Any = {"train": np.arange(10, 50), "heldout": np.arange(10), "test": np.arange(50, 60)}
    return Arrays(images=images, labels=np.arange(IMAGES) % 5, parts=parts, classes=tuple("abcde"), shifted=shifted)


def resident(*, shifted: bool = True, channels: int = 1, **changes: Any) -> Resident:
    return Resident(TINY.replace(batch_size=8, **changes), data(shifted=shifted, channels=channels), CPU)


def corner(image: torch.Tensor) -> tuple[int, int]:
    """Row and column where an image begins on its canvas."""
    lit = image.amax(0) > -1
    return int(lit.any(1).int().argmax()), int(lit.any(0).int().argmax())


def training(images: Resident, epoch: int) -> dict[int, torch.Tensor]:
    """Every image of an epoch by its index."""
    canvases = torch.cat([pixels for pixels, _ in images.training(epoch)])
    return dict(zip(images.order(epoch).tolist(), canvases, strict=True))


def corners(images: Resident, epoch: int) -> dict[int, tuple[int, int]]:
    return {index: corner(canvas) for index, canvas in training(images, epoch).items()}


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_complete_at_its_offset(shifted: bool, channels: int) -> None:
    images = resident(shifted=shifted, channels=channels)
    offsets = images._offsets(images.run.seed, "offset", 0)
    for index, canvas in training(images, 0).items():
        row, column = offsets[index].tolist()
        pixels = canvas[:, row : row + 8, column : column + 8]
        assert torch.equal(((pixels * 0.5 + 0.5) * 255).round().byte(), images.images[index])
        assert (canvas == -1).sum() == channels * (12 * 12 - 8 * 8), "the rest is black"


def test_centred_images_are_in_the_middle() -> None:
    for images in (resident(shifted=False), resident(shifted=False, seed=9)):
        assert set(corners(images, 0).values()) == set(corners(images, 1).values()) == {(2, 2)}


def test_offsets_are_new_each_epoch() -> None:
    images = resident()
    assert corners(images, 0) != corners(images, 1)
    assert corners(images, 1) == corners(images, 1)


def test_offsets_reach_every_place_and_stay_on_the_canvas() -> None:
    images = resident()
    found = {place for epoch in range(20) for place in corners(images, epoch).values()}
    assert found == {(row, column) for row in range(5) for column in range(5)}


@pytest.mark.parametrize("changes", [{"mixer": "none"}, {"depth": 1}, {"batch_size": 5}, {"epochs": 9}, {"lr": 1.0}])
def test_offsets_are_of_seed_epoch_and_index_not_of_the_variant(changes: dict[str, Any]) -> None:
    one = corners(resident(), 3)
    other = corners(Resident(TINY.replace(**{"batch_size": 8} | changes), data(shifted=True), CPU), 3)
    assert len(other) == 40
    assert all(one[index] == other[index] for index in one)


def test_another_seed_gives_other_offsets() -> None:
    assert corners(resident(), 0) != corners(resident(seed=1), 0)


@pytest.mark.parametrize("part", ["test", "heldout"])
def test_an_evaluation_has_fixed_offsets_whatever_the_seed(part: Any) -> None:
    one, other = (torch.cat([p for p, _ in resident(seed=seed).evaluation(part)]) for seed in (0, 7))
    assert torch.equal(one, other)
    assert len({corner(image) for image in one}) > 1, "they are offsets all the same"


def test_pixels_run_from_minus_one_to_one() -> None:
    canvas = torch.cat([images for images, _ in resident().training(0)])
    assert canvas.min() == -1
    assert canvas.max() == 1


def test_labels_stay_with_their_images() -> None:
    images = resident()
    labels = torch.cat([labels for _, labels in images.training(0)])
    assert labels.tolist() == [index % 5 for index in images.order(0).tolist()]


def test_copies_of_an_image_have_their_own_offsets() -> None:
    images, plain = resident(repeats=2), resident()
    (pixels, _), samples = next(images.training(0)), images.samples(0)[:8]
    where = [corner(image) for image in pixels]
    first, second = (images._offsets(0, *purpose) for purpose in (("offset", 0), ("offset", 0, 1)))
    for place, (index, repeat) in zip(where, samples.tolist(), strict=True):
        assert place == tuple((second if repeat else first)[index].tolist())
    assert torch.equal(first, plain._offsets(0, "offset", 0)), "the first copy is as it always was"
    assert not torch.equal(first, second)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    return noise_folder(tmp_path / "mine", 6, 3)


def kept_run(**changes: Any) -> Run:
    return TINY.replace(**{"dataset": "mine", "loader": "resident", "batch_size": 4, "holdout": 0.0} | changes)


def decoded(folder: Path, workers: int = 0, max_corrupt: float = 0.0, **changes: Any) -> Decoded:
    run = kept_run(**changes)
    resources = Resources(workers=workers, max_corrupt=max_corrupt)
    return Decoded(run, _directory.load(run, folder), CPU, resources)


def files(folder: Path) -> list[Path]:
    """Return `broken.json` and `pictures.npy` of each entry of the cache."""
    return sorted((folder.parent / "cache" / "decoded").glob("*/[bp]*"))


def test_images_are_decoded_once(folder: Path) -> None:
    first = decoded(folder)
    assert first.images.shape == (18, 3, 12, 12)
    times = [path.stat().st_mtime_ns for path in files(folder)]
    decoded(folder, seed=3, holdout=0.5, mixer="none")
    assert [path.stat().st_mtime_ns for path in files(folder)] == times, "neither seed nor split needs another"
    assert len(times) == 2


@pytest.mark.parametrize("changes", [{"image_size": 16}, {"eval_crop": 0.8}])
def test_another_size_is_kept_apart(folder: Path, changes: dict[str, Any]) -> None:
    decoded(folder)
    decoded(folder, **changes)
    assert len(files(folder)) == 4


def test_other_images_are_kept_apart(folder: Path) -> None:
    decoded(folder)
    noise(30).save(folder / "train" / "class0" / "0.png")
    decoded(folder)
    assert len(files(folder)) == 4


def test_decoding_in_processes_gives_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.data.resident.ITEM", 5)
    one = decoded(folder).images
    monkeypatch.setenv("ABLATE_CACHE", str(folder.parent / "other"))
    assert torch.equal(one, decoded(folder, workers=2).images)


def test_what_is_kept_is_not_written_to(folder: Path) -> None:
    images = decoded(folder, random_erasing=1.0, hflip=0.5)
    before = files(folder)[1].read_bytes()
    list(images.training(0))
    images.images[0] = 0
    assert files(folder)[1].read_bytes() == before


def test_shares_and_going_on_are_parts_of_the_whole(folder: Path) -> None:
    images = decoded(folder, crop_padding=2, hflip=0.5, random_erasing=0.5)
    whole = torch.cat([pixels for pixels, _ in images.training(1)])
    assert torch.equal(whole[8:], torch.cat([pixels for pixels, _ in images.training(1, start=2)]))
    halves = [torch.cat([p for p, _ in images.training(1, share=Share(rank, 2, 1))]) for rank in (0, 1)]
    assert torch.equal(whole, torch.stack([half.reshape(3, 2, -1) for half in halves], 1).view_as(whole))
    parts = [p for rank in range(4) for p, _ in images.evaluation("test", Share(rank, 4))]
    assert torch.equal(torch.cat(parts), torch.cat([p for p, _ in images.evaluation("test")]))


def test_a_corrupt_image_is_grey_and_reported_by_every_run(folder: Path) -> None:
    (folder / "train" / "class1" / "0.png").write_bytes(b"no image")
    for _ in range(2):
        images = decoded(folder, max_corrupt=0.1)
        assert images.corrupt_facts() == {"broken": {"count": 1, "names": ["train/class1/0.png"]}}
        assert (images.images[6] == 128).all()
    with pytest.raises(SpecError, match=r"1 of the 12 images in the train part of mine are corrupt, such as"):
        decoded(folder)


def test_a_run_on_kept_images_trains_to_a_record(folder: Path) -> None:
    run = kept_run(epochs=1, crop_min_area=0.3, hflip=0.5, color_jitter=0.3, random_erasing=0.2)
    one, other = (execute(run, Resources(data={"mine": str(folder)})) for _ in range(2))
    assert one.history == other.history
    assert one.metrics["n"] == 6


@pytest.mark.parametrize("name", ["pictures.npy", "broken.json"])
@pytest.mark.parametrize("damage", ["flipped", "emptied", "cut", "missing"])
def test_damaged_images_are_named_and_decoded_again(
    folder: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A run on them has the same numbers as before."""
    run, resources = kept_run(epochs=1), Resources(data={"mine": str(folder)})
    expected = execute(run, resources)
    path = files(folder)[("broken.json", "pictures.npy").index(name)]
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 64])
        path.write_bytes({"flipped": flipped, "emptied": b"", "cut": content[: len(content) // 2]}[damage])
    found = execute(run, resources)
    assert str(path.parent) in caplog.text
    assert "this part of the cache is made again" in caplog.text
    assert path.read_bytes() == content
    assert (found.metrics, found.history) == (expected.metrics, expected.history)


def test_a_full_disk_is_an_error_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a mapped file that finds no place kills the process without a word."""

    run = TINY.replace(dataset="mine", batch_size=2)
    found = _directory.load(run, noise_folder(tmp_path, 5, 1))

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as caught:
        decode_to_cache(run, found, 0)
    assert caught.value.filename.endswith("pictures.npy")
    assert not Path(caught.value.filename).parent.exists()
