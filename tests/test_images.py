"""What the loop sees of a data set, whichever way its pictures are kept."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.distributed import World
from ablate.images import Images, generator
from ablate.loading import open_images
from ablate.registry import SpecError
from ablate.resources import Resources
from ablate.spec import DATASETS, Run
from ablate.train import fit
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
        base = {"batch_size": 4 if request.param in ("mine", "cifar10") else 256, "holdout": 0.2}
        run = TINY.but(dataset=request.param, **base | changes)
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


def test_training_gives_the_labels_of_its_order(opened: Any) -> None:
    images, _ = opened()
    labels = torch.cat([labels for _, labels in images.training(2)])
    assert torch.equal(labels, images.labels[images.order(2)])


def test_a_batch_larger_than_the_data_is_refused(opened: Any) -> None:
    with pytest.raises(SpecError, match=r"batch_size is 5000; dataset .* has .* pictures to train on"):
        opened(batch_size=5000)


def test_a_log_begins_with_what_lies_there(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ablate")
    run = TINY.but(dataset="mine", batch_size=4, holdout=0.2)
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
    run = TINY.but(dataset="mine", batch_size=4, epochs=1, holdout=0.0)
    for allowed, too_many in ((0.1, False), (0.0, True)):
        resources = Resources(data={"mine": str(folder)}, allow_broken=allowed)
        images, _ = open_images(run, resources, CPU)
        with pytest.raises(SpecError, match="1 of the 15") if too_many else nullcontext():
            fit(run, images, CPU, lambda _: None, resources, world=Told())
        assert images.trouble() == {"broken": {"count": 1, "names": ["train/cat/1.png"]}}
