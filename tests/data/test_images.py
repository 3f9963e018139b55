"""What the loop sees of a data set, whichever way its pictures are kept."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.data.images import Images, Share, generator, stratified
from ablate.data.open import open_images
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.distributed import World
from ablate.train.loop import fit
from tests.tiny import TINY, picture_folder

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("pictures")
    return picture_folder(where, {"cat": 5, "dog": 5, "eel": 5}, {"cat": 2, "dog": 2, "eel": 3})


@pytest.fixture(params=[*DATASETS, "mine"])
def opened(request: pytest.FixtureRequest, folder: Path, places: dict[str, str]) -> Any:
    """Open any data set, by a run with some fields changed."""

    def open_(**changes: Any) -> tuple[Images, dict[str, Any]]:
        base = {"batch_size": 4 if request.param in ("mine", "cifar10") else 256, "holdout": 0.2, "image_size": 16}
        run = TINY.replace(dataset=request.param, **base | changes)
        return open_images(run, Resources(data=places | {"mine": str(folder)}), CPU)

    return open_


def test_batches_have_the_promised_shape(opened: Any) -> None:
    images, facts = opened()
    run: Run = images.run
    batches = list(images.training(0))
    assert len(batches) == images.steps == images.sizes["train"] // run.batch_size > 0
    for pictures, labels in batches:
        assert pictures.shape == (run.batch_size, images.channels, run.image_size, run.image_size)
        assert pictures.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert labels.shape == (run.batch_size,)
    assert facts["channels"] == images.channels
    assert facts["classes"] == list(images.classes)
    assert {part: facts[f"n_{part}"] for part in images.sizes} == images.sizes
    assert len(facts["fingerprint"]) == 16


@pytest.mark.parametrize("part", ["heldout", "test"])
def test_an_evaluation_reads_every_picture_once_in_a_fixed_order(opened: Any, part: Any) -> None:
    images, _ = opened()
    labels = torch.cat([labels for _, labels in images.evaluation(part)])
    assert torch.equal(labels, images.labels[images.parts[part]])


def test_an_evaluation_is_the_same_whatever_the_seed_and_batch(opened: Any) -> None:
    one, _ = opened()
    other, _ = opened(seed=5, batch_size=3)
    pictures = [torch.cat([p for p, _ in images.evaluation("test")]) for images in (one, other, one)]
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])


def test_an_order_is_a_permutation_of_the_training_part(opened: Any) -> None:
    images, _ = opened(batch_size=1)
    train = images.parts["train"].tolist()
    assert sorted(images.order(0).tolist()) == sorted(train)
    assert images.order(0).tolist() != train


def test_the_order_is_a_function_of_seed_and_epoch(opened: Any) -> None:
    images, _ = opened()
    assert torch.equal(images.order(3), opened()[0].order(3))
    assert not torch.equal(images.order(3), images.order(4))
    assert not torch.equal(images.order(3), opened(seed=1)[0].order(3))


def test_the_order_is_not_of_the_model_nor_of_the_batch_size(opened: Any) -> None:
    images, _ = opened()
    assert torch.equal(images.order(3), opened(mixer="none", depth=1)[0].order(3))
    small = opened(batch_size=3)[0].order(3)
    shared = min(len(small), len(images.order(3)))
    assert torch.equal(small[:shared], images.order(3)[:shared])


FRACTIONS = (0.1, 0.25, 0.5, 1.0)


def stratified_labels() -> torch.Tensor:
    """Classes of very different sizes, mixed."""
    labels = torch.arange(5).repeat_interleave(torch.tensor([400, 7, 120, 33, 60]))
    return labels[torch.randperm(len(labels), generator=generator("labels"))]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_share_is_of_every_class_and_holds_all_smaller_shares(seed: int) -> None:
    labels = stratified_labels()
    sizes = torch.bincount(labels)
    smaller: set[int] = set()
    for percent in range(1, 101):
        chosen = stratified(labels, percent / 100, seed)
        assert len(chosen) == round(len(labels) * percent / 100)
        assert chosen.tolist() == sorted(set(chosen.tolist()))
        assert (torch.bincount(labels[chosen], minlength=5) - sizes * percent / 100).abs().max() <= 1
        assert smaller <= set(chosen.tolist())
        smaller = set(chosen.tolist())


def test_a_share_is_drawn_from_the_seed() -> None:
    labels = stratified_labels()
    assert torch.equal(stratified(labels, 0.5, 3), stratified(labels, 0.5, 3))
    both = set(stratified(labels, 0.5, 3).tolist()) & set(stratified(labels, 0.5, 4).tolist())
    assert 0.4 < len(both) / (0.5 * len(labels)) < 0.6, "two seeds share as many as chance gives"


@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_a_share_is_the_same_for_every_model_and_recipe(opened: Any, fraction: float) -> None:
    images, facts = opened(train_fraction=fraction)
    assert facts["n_train"] == len(images.parts["train"])
    assert set(images.used.tolist()) <= set(images.parts["train"].tolist())
    other, _ = opened(train_fraction=fraction, mixer="none", batch_size=3, repeats=2, epochs=1, lr=1e-4)
    assert torch.equal(images.used, other.used)
    assert torch.equal(images.samples(1), opened(train_fraction=fraction, mixer="none")[0].samples(1))


def digits(**changes: Any) -> Images:
    return open_images(TINY.replace(**{"batch_size": 64, "holdout": 0.2} | changes), Resources(), CPU)[0]


def test_the_whole_part_is_trained_on_as_ever() -> None:
    """Written out as it was before there was a share, so that no old record is contradicted."""
    images = digits(repeats=2)
    shuffle = torch.randperm(1149, generator=generator(0, "order", 5))
    positions = torch.arange(17 * 64).view(17, 64, 1).transpose(1, 2).flatten()
    expected = torch.stack([images.parts["train"][shuffle[positions // 2]], positions % 2], dim=1)
    assert torch.equal(images.samples(5), expected)
    assert torch.equal(images.used, images.parts["train"])


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_each_pass_shows_every_used_picture_once(fraction: float) -> None:
    """Epochs of 1,149 pictures are pieces of one row of passes; with a batch of 1 none is left out."""
    images = digits(train_fraction=fraction, batch_size=1, epochs=6)
    row = torch.cat([images.order(epoch) for epoch in range(6)])
    passes = torch.split(row, len(images.used))
    for one in passes[:-1]:
        assert sorted(one.tolist()) == sorted(images.used.tolist())
    assert len({tuple(one.tolist()) for one in passes}) == len(passes), "each in an order of its own"


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("repeats", [1, 3])
def test_shares_of_all_sizes_have_equal_steps_and_no_copy_twice(fraction: float, repeats: int) -> None:
    images = digits(train_fraction=fraction, repeats=repeats, dataset="digits")
    assert images.steps == digits().steps
    for epoch in (0, 3):
        samples = images.samples(epoch)
        assert len(samples) == images.steps * 64
        assert len(samples.unique(dim=0)) == len(samples), "equal index and repeat would be augmented alike"
        assert len(list(images.training(epoch))) == images.steps


def test_a_picture_that_comes_again_lies_elsewhere() -> None:
    images = digits(train_fraction=0.05, image_size=32)
    pictures = torch.cat([pictures for pictures, _ in images.training(0)])
    index = int(images.used[0])
    again = pictures[images.order(0) == index]
    assert len(again) > 15
    assert len({picture.numpy().tobytes() for picture in again}) > 0.8 * len(again)


def test_a_share_of_the_whole_order_is_what_a_process_reads_and_where_it_goes_on() -> None:
    images = digits(train_fraction=0.1, repeats=2)
    whole = [pictures for pictures, _ in images.training(2)]
    for pictures, (later, _) in zip(whole[5:], images.training(2, start=5), strict=True):
        assert torch.equal(pictures, later)
    for rank in (0, 1):
        for pictures, (mine, _) in zip(whole, images.training(2, share=Share(rank, 2)), strict=True):
            assert torch.equal(pictures[32 * rank : 32 * rank + 32], mine)


def test_a_share_without_a_class_is_refused(folder: Path) -> None:
    with pytest.raises(
        SpecError, match=r"train_fraction 0.005 of 1149 pictures leaves 6; dataset digits_shifted wants"
    ):
        digits(train_fraction=0.005)
    with pytest.raises(SpecError, match=r"train_fraction 0.0001 of 1149 pictures leaves 0; dataset"):
        digits(train_fraction=0.0001)
    uneven = picture_folder(folder.parent / "uneven", {"cat": 20, "dog": 20, "eel": 2}, {"cat": 1, "dog": 1, "eel": 1})
    run = TINY.replace(dataset="mine", batch_size=4, holdout=0.0, train_fraction=0.2)
    with pytest.raises(SpecError, match=r"train_fraction 0.2 of 42 pictures leaves 8 and none of class eel; wanted is"):
        open_images(run, Resources(data={"mine": str(uneven)}), CPU)


def test_training_gives_the_labels_of_its_order(opened: Any) -> None:
    images, _ = opened()
    labels = torch.cat([labels for _, labels in images.training(2)])
    assert torch.equal(labels, images.labels[images.order(2)])


def test_a_batch_larger_than_the_data_is_refused(opened: Any) -> None:
    with pytest.raises(SpecError, match=r"batch_size is 20000; dataset .* has .* pictures to train on"):
        opened(batch_size=20000)


def test_a_log_begins_with_what_lies_there(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ablate")
    run = TINY.replace(dataset="mine", batch_size=4, holdout=0.2)
    open_images(run, Resources(data={"mine": str(folder)}), CPU)
    assert caplog.messages[0].startswith(f"mine at {folder}: 3 classes, 15 pictures to train on, 7 to test on, ")


def test_streams_are_apart_by_purpose() -> None:
    drawn = [torch.rand(4, generator=generator(*parts)) for parts in ((0, "a"), (0, "a"), (0, "b"), (1, "a"))]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[3])


class Told(World):
    """A process that hears of another one's broken pictures."""

    def all(self, value: Any) -> list[Any]:
        return [value, {1}] if isinstance(value, set) else [value]


def test_broken_pictures_of_all_processes_count_together(folder: Path) -> None:
    """Each process reads a share of a part, and the limit is of the part."""
    run = TINY.replace(dataset="mine", batch_size=4, epochs=1, holdout=0.0)
    for allowed, too_many in ((0.1, False), (0.0, True)):
        resources = Resources(data={"mine": str(folder)}, max_corrupt=allowed)
        images, _ = open_images(run, resources, CPU)
        with pytest.raises(SpecError, match="1 of the 15") if too_many else nullcontext():
            fit(run, images, CPU, lambda _: None, resources, world=Told())
        assert images.trouble() == {"broken": {"count": 1, "names": ["train/cat/1.png"]}}
