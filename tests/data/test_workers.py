"""Images decoded when needed: the same tensors from every process, and corrupt images."""

from __future__ import annotations

import multiprocessing
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import functional as F

from ablate.data.datasets import Encoded, _directory
from ablate.data.draws import Draws
from ablate.data.images import Share
from ablate.data.open import open_images
from ablate.data.workers import Augmentation, FromFiles, seed_global_streams
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.execute import execute
from tests import processes
from tests.tiny import TINY, noise, noise_folder

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
RUN = TINY.replace(dataset="mine", batch_size=4, holdout=0.0, crop_min_area=0.2, hflip=0.5, eval_crop=0.8)
FULL = RUN.replace(auto_augment="rand-m9-mstd0.5-inc1", random_erasing=0.5, color_jitter=0.3)
MEAN = (0.485, 0.456, 0.406)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_folder(tmp_path_factory.mktemp("images"), 6, 3)


def opened(folder: Path, run: Run = RUN, workers: int = 0, **changes: Any) -> FromFiles:
    run = run.replace(**changes)
    return FromFiles(run, _directory.load(run, folder), CPU, Resources(workers=workers))


def together(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    return torch.cat([images for images, _ in batches])


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_processes_change_nothing(folder: Path, workers: int) -> None:
    alone, helped = opened(folder, FULL), opened(folder, FULL, workers)
    assert torch.equal(together(alone.training(1)), together(helped.training(1)))
    assert torch.equal(together(alone.evaluation("test")), together(helped.evaluation("test")))


def test_augmentation_is_of_seed_epoch_and_index(folder: Path) -> None:
    images = opened(folder, FULL)
    assert torch.equal(together(images.training(1)), together(opened(folder, FULL, mixer="none").training(1)))

    def by_index(of: FromFiles, epoch: int) -> torch.Tensor:
        return together(of.training(epoch))[of.order(epoch).argsort()]

    first = by_index(images, 1)
    assert torch.equal(first, by_index(opened(folder, FULL, batch_size=2), 1))
    assert not torch.equal(first, by_index(images, 2))
    assert not torch.equal(first, by_index(opened(folder, FULL, seed=1), 1))


@pytest.mark.parametrize("changes", [{}, {"color_jitter": 0.3, "auto_augment": ""}])
def test_how_many_are_held_at_once_changes_nothing(
    folder: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = opened(folder, FULL, **changes)
    whole = together(images.training(0))
    monkeypatch.setattr("ablate.data.workers.ITEM", 3)
    assert torch.equal(whole, together(images.training(0)))


@pytest.mark.parametrize("changes", [{}, {"crop_min_area": 1.0, "crop_padding": 2, "auto_augment": ""}])
def test_copies_of_an_image_differ(tmp_path: Path, changes: dict[str, Any]) -> None:
    images = opened(noise_folder(tmp_path, 6, 1), FULL, repeats=3, batch_size=12, **changes)
    (pixels, _), samples = next(images.training(0)), images.samples(0)
    for index in set(samples[:, 0].tolist()):
        copies = pixels[samples[:, 0] == index]
        assert len({copy.numpy().tobytes() for copy in copies}) == len(copies) == 3


def test_twins_are_augmented_each_in_its_own_way() -> None:
    """The index is in the draws: else all images of an epoch would be cropped and flipped alike."""
    images = together(FromFiles(RUN, of([noise()] * 4), CPU, Resources()).training(0))
    assert len({image.numpy().tobytes() for image in images}) == 4


def test_going_on_in_the_middle_of_an_epoch_shows_the_same(folder: Path) -> None:
    images = opened(folder, FULL)
    assert images.steps == 3
    assert torch.equal(together(images.training(1))[8:], together(images.training(1, start=2)))


@pytest.mark.parametrize("micro", [0, 1])
def test_shares_together_are_the_whole(folder: Path, micro: int) -> None:
    images = opened(folder, FULL)
    whole = together(images.training(1)).view(images.steps, 4, -1)
    for rank in (0, 1):
        share = Share(rank, 2, micro)
        batches = list(images.training(1, share=share))
        assert len(batches) == images.steps * len(share.pieces(images.run))
        mine = torch.cat([pixels for pixels, _ in batches]).view(images.steps, 2, -1)
        assert torch.equal(mine, whole[:, 2 * rank : 2 * rank + 2])
    parts = [together(images.evaluation("test", Share(rank, 4))) for rank in range(4)]
    assert torch.equal(torch.cat(parts), together(images.evaluation("test")))


def test_a_share_may_have_nothing_to_evaluate(folder: Path) -> None:
    assert list(opened(folder).evaluation("test", Share(0, 7))) == []


def test_decoding_leaves_the_callers_streams_alone(folder: Path) -> None:
    """Dropout of the next step must not depend on who decoded the images."""

    def drawn(between: Callable[[], object]) -> tuple[object, ...]:
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        between()
        return torch.rand(1).item(), random.random(), np.random.rand()

    assert drawn(lambda: None) == drawn(lambda: together(opened(folder, FULL).training(0)))


def test_global_streams_are_seeded_for_a_moment() -> None:
    def values() -> tuple[float, ...]:
        return torch.rand(1).item(), random.random(), np.random.rand()

    with seed_global_streams(5):
        first = values()
    with seed_global_streams(5):
        assert values() == first
    with seed_global_streams(6):
        assert not set(values()) & set(first)


class Images:
    """A reader of images in memory; an exception is raised instead of given."""

    def __init__(self, images: list[Image.Image | Exception]) -> None:
        self.images = images

    def __getitem__(self, index: int) -> Image.Image:
        found = self.images[index]
        if isinstance(found, Exception):
            raise found
        return found

    def name(self, index: int) -> str:
        return f"image{index}"

    def random_access(self) -> Images:
        return self


def of(images: list[Any]) -> Encoded:
    parts: Any = {part: np.arange(len(images)) for part in ("train", "heldout", "test")}
    labels = np.arange(len(images)) % 2
    return Encoded(reader=Images(images), labels=labels, parts=parts, classes=("a", "b"), fingerprint="f")


@pytest.mark.parametrize("size", [(20, 20), (40, 13), (12, 12), (7, 30)])
@pytest.mark.parametrize("crop", [0.8, 0.875, 0.95, 1.0])
def test_an_evaluation_is_timms_to_the_last_bit(size: tuple[int, int], crop: float) -> None:
    image = noise(*size)
    timms = create_transform(12, interpolation="bicubic", crop_pct=crop)
    images = FromFiles(RUN.replace(eval_crop=crop, batch_size=1), of([image]), CPU, Resources())
    assert torch.equal(together(images.evaluation("test"))[0], timms(image))


def one(count: int = 1) -> Draws:
    return Draws(0, 0, torch.arange(count), torch.zeros(count, dtype=torch.long))


def test_without_random_crop_and_flip_training_sees_the_whole_square() -> None:
    image = noise(20, 14)
    plain = RUN.replace(crop_min_area=1.0, hflip=0.0, eval_crop=1.0)
    seen = F.pil_to_tensor(Augmentation(plain, MEAN)([image], one())[0])
    assert torch.equal(seen, create_transform(12, interpolation="bicubic", crop_pct=1.0, normalize=False)(image))
    assert torch.equal(F.pil_to_tensor(Augmentation(plain.replace(hflip=1.0), MEAN)([image], one())[0]), seen.flip(-1))


def test_automatic_augmentation_is_set_up_as_timms_own() -> None:
    """With its hints for image size, mean and interpolation; colour jitter stays away, as in timm."""
    timms = create_transform(
        12, is_training=True, auto_augment=FULL.auto_augment, color_jitter=0.3, interpolation="bicubic", mean=MEAN
    )
    theirs = next(step for step in timms.transforms if type(step).__name__ == "RandAugment")
    mine = Augmentation(FULL, MEAN).auto
    assert mine is not None
    assert (mine.num_layers, len(mine.ops)) == (theirs.num_layers, len(theirs.ops))
    for op, other in zip(mine.ops, theirs.ops, strict=True):
        assert {**vars(op), "aug_fn": None, "level_fn": None} == {**vars(other), "aug_fn": None, "level_fn": None}
    image = noise()
    seen = [
        Augmentation(FULL.replace(color_jitter=strength), MEAN)([image], one())[0].tobytes() for strength in (0.0, 0.9)
    ]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("words", ["rand-m10-p1-inc1", "rand-m10-p1", "rand-m0-p1-inc1", "rand-m0-p1"])
def test_every_operation_works_at_its_ends(words: str) -> None:
    """timm's posterize keeps no bit at the highest level, which Pillow 13 refuses; before, the image was black."""
    image = noise()
    auto = Augmentation(FULL.replace(auto_augment=words), MEAN).auto
    assert auto is not None
    for operation in auto.ops:
        changed = operation(image)
        assert (changed.mode, changed.size) == (image.mode, image.size)
        if operation.name == "PosterizeIncreasing":
            assert (changed.getbbox() is None) == ("m10" in words)


def test_corrupt_images_are_grey_counted_and_named(caplog: pytest.LogCaptureFixture) -> None:
    data = of([noise(), OSError("truncated"), noise(), noise()])
    run = RUN.replace(batch_size=2, hflip=0.0)
    for workers in (0, 2):
        caplog.clear()
        images = FromFiles(run, data, CPU, Resources(workers=workers, max_corrupt=0.25))
        pixels, labels = next(images.evaluation("test"))
        assert torch.equal(labels, torch.tensor([0, 1]))
        assert (pixels[1] == pixels[1][:, :1, :1]).all()
        together(images.training(0))
        assert images.corrupt == {1}
        assert images.corrupt_facts() == {"broken": {"count": 1, "names": ["image1"]}}
        assert caplog.text.count("image1 of mine is corrupt and replaced by a grey image: OSError: truncated") == 1


def test_too_many_corrupt_images_are_refused() -> None:
    corrupt = [OSError("truncated")] * 2
    images = FromFiles(RUN.replace(batch_size=2), of([noise(), *corrupt, noise()]), CPU, Resources(max_corrupt=0.25))
    with pytest.raises(SpecError) as error:
        together(images.evaluation("test"))
    assert str(error.value) == (
        "2 of the 4 images in the train part of mine are corrupt, such as image1, image2; "
        "fix them, or allow a share above 0.25 with --max-corrupt"
    )


def test_a_record_lists_replaced_images(tmp_path: Path) -> None:
    folder = noise_folder(tmp_path, 6, 3)
    (folder / "train" / "class0" / "2.png").write_bytes(b"no image")
    resources = Resources(data={"mine": str(folder)}, max_corrupt=0.2)
    record = execute(RUN.replace(epochs=1), resources)
    assert record.dataset["broken"] == {"count": 1, "names": ["train/class0/2.png"]}
    with pytest.raises(SpecError, match=r"1 of the 12 images in the train part .* such as train/class0/2.png; fix"):
        execute(RUN.replace(epochs=1), Resources(data={"mine": str(folder)}))


def test_a_folder_trains_to_a_record_and_twice_to_the_same(folder: Path) -> None:
    resources = Resources(data={"mine": str(folder)})
    one, other = (execute(FULL.replace(epochs=1), resources) for _ in range(2))
    assert one.metrics == other.metrics
    assert one.history == other.history
    assert one.metrics["n"] == 6
    assert one.dataset["classes"] == ["class0", "class1"]
    assert "broken" not in one.dataset


@pytest.mark.parametrize("name", ["imagenette128_folder600", "imagenette128"])
def test_real_images_are_read(name: str, real: Callable[[str], Path]) -> None:
    """From files and from Parquet: a batch to train on, and one to test on."""
    run = FULL.replace(dataset=name, image_size=32, patch_size=8, batch_size=16)
    images, facts = open_images(run, Resources(data={name: str(real(name))}), CPU)
    assert isinstance(images, FromFiles)
    assert len(facts["classes"]) == 10
    batches = [next(images.training(0)), next(images.evaluation("test"))]
    assert [pixels.shape for pixels, _ in batches] == [(16, 3, 32, 32)] * 2
    assert not images.corrupt
    assert all(0.5 < pixels.std() < 2 for pixels, _ in batches)


def test_loader_processes_stay_from_epoch_to_epoch(folder: Path) -> None:
    alone, helped = opened(folder), opened(folder, workers=2)
    next(helped.training(0))
    began = {process.pid for process in multiprocessing.active_children()}
    assert len(began) == 2
    for epoch in (1, 2):  # what was begun and left is dropped
        assert torch.equal(together(alone.training(epoch)), together(helped.training(epoch)))
        assert torch.equal(together(alone.evaluation("test")), together(helped.evaluation("test")))
    assert {process.pid for process in multiprocessing.active_children()} == began
    del helped
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_all_processes_ends_no_loader(folder: Path, number: int) -> None:
    """Slurm and Ctrl-C signal all processes; the loop needs batches until it has written a checkpoint."""
    images = opened(folder, workers=2)
    batches = images.training(0)
    first = torch.cat([next(batches)[0] for _ in range(2)])  # one of each, which has begun its work then
    loaders = multiprocessing.active_children()
    assert len(loaders) == 2
    subprocess.run(["kill", f"-{int(number)}", *(str(process.pid) for process in loaders)], check=True)
    seen = torch.cat([first, together(batches), together(images.training(1))])
    alone = opened(folder)
    assert torch.equal(seen, torch.cat([together(alone.training(epoch)) for epoch in (0, 1)]))


STILL_OPEN = []


def leave_open(folder: Path) -> None:
    """End a process while its loaders wait for work, as after a failure whose traceback holds all it touched."""
    images = opened(folder, workers=2)
    next(images.training(0))
    STILL_OPEN.append(images)


@pytest.mark.slow
def test_a_process_ends_with_its_loaders(folder: Path) -> None:
    assert processes.end(processes.start(parent_of_loaders, folder)) == [0]


def parent_of_loaders(folder: Path) -> None:
    """A process of a test is a daemon, and daemons have no children."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    leave_open(folder)
