"""Pictures in files: the same tensors whoever decodes them, and every kind of file in colour."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from ablate.datasets import Files, _imagefolder
from ablate.execution import execute
from ablate.loading import open_images
from ablate.resources import Resources
from ablate.spec import Run
from ablate.workers import FromFiles, evaluation_transform, training_transform
from tests.tiny import TINY, picture_folder

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
RUN = TINY.but(dataset="mine", batch_size=4, holdout=0.0, crop_min_area=0.2, hflip=0.5, eval_crop=0.8)
IMAGENETTE = "imagenette128_folder600"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_folder(tmp_path_factory.mktemp("pictures"), {"cat": 6, "dog": 6}, {"cat": 3, "dog": 2})


def opened(folder: Path, workers: int = 0, **changes: Any) -> FromFiles:
    run = RUN.but(**changes)
    return FromFiles(run, _imagefolder.load(run, folder), CPU, Resources(workers=workers))


def together(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    return torch.cat([pictures for pictures, _ in batches])


def test_loader_processes_change_nothing(folder: Path) -> None:
    alone, helped = opened(folder), opened(folder, workers=2)
    assert torch.equal(together(alone.training(1)), together(helped.training(1)))
    assert torch.equal(together(alone.evaluation("test")), together(helped.evaluation("test")))


def test_augmentation_is_of_seed_epoch_and_index(folder: Path) -> None:
    images = opened(folder)
    assert torch.equal(together(images.training(1)), together(opened(folder, mixer="none").training(1)))

    def by_index(of: FromFiles, epoch: int) -> torch.Tensor:
        return together(of.training(epoch))[of.order(epoch).argsort()]

    first = by_index(images, 1)
    assert torch.equal(first, by_index(opened(folder, batch_size=2), 1))
    assert not torch.equal(first, by_index(images, 2))
    assert not torch.equal(first, by_index(opened(folder, seed=1), 1))


def test_twins_are_augmented_each_in_its_own_way(tmp_path: Path) -> None:
    """The index is in the seed: else all pictures of an epoch would be cropped and flipped alike."""
    path = tmp_path / "picture.png"
    Image.effect_noise((20, 20), 80).save(path)
    pictures = together(FromFiles(RUN, files([path] * 4), CPU, Resources()).training(0))
    assert len({picture.numpy().tobytes() for picture in pictures}) == 4


def test_decoding_leaves_the_callers_stream_alone(folder: Path) -> None:
    """Dropout of the next step must not depend on who decoded the pictures."""
    images = opened(folder)
    item = next(iter(images.training(0)))
    assert item[0].shape[0] == 4
    from ablate.workers import _Pictures

    pictures = _Pictures(RUN, images.data, images.order(0), 0)
    torch.manual_seed(3)
    pictures[0], pictures[1]
    drawn = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(2))


def files(paths: list[Path]) -> Files:
    import numpy as np

    parts: Any = {part: np.arange(len(paths)) for part in ("train", "heldout", "test")}
    return Files(paths=tuple(paths), labels=np.zeros(len(paths), np.int64), parts=parts, classes=("only",))


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    Image.new(mode, (16, 16)).save(path)
    images = FromFiles(RUN.but(batch_size=1), files([path]), CPU, Resources())
    assert together(images.evaluation("test")).shape == (1, 3, 12, 12)
    assert together(images.training(0)).shape == (1, 3, 12, 12)


def test_colours_are_normalised_as_imagenets() -> None:
    mean, std = torch.tensor(IMAGENET_DEFAULT_MEAN), torch.tensor(IMAGENET_DEFAULT_STD)
    white = Image.new("RGB", (16, 16), "white")
    for transform in (training_transform(RUN), evaluation_transform(RUN)):
        torch.testing.assert_close(transform(white)[:, 5, 5], (1 - mean) / std)


def test_evaluation_takes_the_centre() -> None:
    """eval_crop 0.5 of a 24×24 picture at 12 pixels: exactly its middle."""
    picture = Image.new("RGB", (24, 24))
    picture.paste((255, 255, 255), (6, 6, 18, 18))
    seen = evaluation_transform(RUN.but(eval_crop=0.5))(picture)
    assert torch.equal(seen, seen[:, :1, :1].expand_as(seen))
    assert seen.min() > 1, "all of it white"


def test_without_random_crop_and_flip_training_sees_the_whole_square() -> None:
    torch.manual_seed(0)
    picture = Image.effect_noise((12, 12), 80).convert("RGB")
    plain = RUN.but(crop_min_area=1.0, hflip=0.0, eval_crop=1.0)
    assert torch.equal(training_transform(plain)(picture), evaluation_transform(plain)(picture))
    assert torch.equal(training_transform(plain.but(hflip=1.0))(picture), evaluation_transform(plain)(picture).flip(-1))


def test_a_folder_trains_to_a_record_and_twice_to_the_same(folder: Path) -> None:
    resources = Resources(data={"mine": str(folder)})
    one, other = (execute(RUN.but(epochs=1), resources) for _ in range(2))
    assert one.metrics == other.metrics
    assert one.history == other.history
    assert one.metrics["n"] == 5
    assert one.dataset["classes"] == ["cat", "dog"]


def test_real_pictures_train_a_step() -> None:
    """On the Imagenette folder, where there is one: ABLATE_TEST_DATA, else ../shared/data beside the repository."""
    shelf = Path(os.environ.get("ABLATE_TEST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    if not (shelf / IMAGENETTE).is_dir():
        pytest.skip(f"there is no {IMAGENETTE} in ABLATE_TEST_DATA or ../shared/data")
    run = Run(
        dataset=IMAGENETTE,
        image_size=32,
        patch_size=8,
        dim=16,
        depth=1,
        heads=2,
        batch_size=16,
        crop_min_area=0.3,
        hflip=0.5,
        eval_crop=0.875,
        epochs=1,
    )
    images, facts = open_images(run, Resources(data={IMAGENETTE: str(shelf / IMAGENETTE)}), CPU)
    assert isinstance(images, FromFiles)
    assert len(facts["classes"]) == 10
    assert facts["n_train"] + facts["n_test"] > 500

    from ablate.models import build
    from ablate.optim import optimiser

    model = build(run, images.channels, len(images.classes))
    before = model.head.weight.clone()
    pictures, labels = next(iter(images.training(0)))
    loss = torch.nn.functional.cross_entropy(model(pictures), labels)
    assert loss.item() == pytest.approx(2.3, abs=0.3)
    loss.backward()
    optimiser(run, model).step()
    assert not torch.equal(before, model.head.weight)
    assert next(iter(images.evaluation("test")))[0].shape == (16, 3, 32, 32)
