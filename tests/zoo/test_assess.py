"""The accuracy of a model equals exactly that by timm's loader and `timm.utils.accuracy`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_dataset, create_loader, resolve_model_data_config
from timm.data.readers import img_extensions
from timm.utils import accuracy
from torch.nn import functional as F

from ablate.data.datasets import source
from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.train.evaluate import evaluate
from ablate.zoo.assess import EvalOptions, assess
from ablate.zoo.candidates import OfRun, OfTimm
from ablate.zoo.timm_images import TimmImages
from tests.tiny import TINY, as_parquet, image_folder, odd_folder

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
DATA = Path(os.environ.get("ABLATE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
# timm's reader leaves its files to the garbage collector.
by_timm_too = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
    "ignore:Palette images with Transparency",
)
SMALL = "test_vit"  # timm's small model for tests: 160 pixels, 0.4M parameters


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JPEGs of noise, in three classes and of many sizes, some of them grey."""
    folder, chance = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for part, count in (("train", 2), ("val", 11)):
        for name in ("a", "b", "c"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                shape = chance.integers(90, 300, 2).tolist()
                pixels = chance.integers(0, 256, shape if number == 3 else [*shape, 3], np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{number}.jpg")
    return folder


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images that timm and other readers decode differently."""
    return odd_folder(tmp_path_factory.mktemp("odd"), 120, 180, classes=6)


@pytest.fixture
def timm_finds_tiff() -> Iterator[None]:
    """Let timm's reader of folders find TIFF files, as it finds PNG and JPEG by itself."""
    img_extensions.add_img_extensions(".tif")  # type: ignore[no-untyped-call]
    yield
    img_extensions.del_img_extensions(".tif")  # type: ignore[no-untyped-call]


@pytest.fixture(params=["noise", "odd", "imagenette"])
def folder(request: pytest.FixtureRequest, timm_finds_tiff: None) -> Path:
    if request.param != "imagenette":
        found: Path = request.getfixturevalue(request.param)
        return found
    if not (DATA / "imagenette128_folder600").is_dir():
        pytest.skip(f"there is no {DATA / 'imagenette128_folder600'}; ABLATE_TEST_DATA sets the folder of test data")
    return DATA / "imagenette128_folder600"


def saved(model: torch.nn.Module, where: Path) -> Path:
    path = where / "weights.pth"
    torch.save(model.state_dict(), path)
    return path


def timms_loader(model: torch.nn.Module, folder: Path, size: int, **changes: Any) -> Any:
    """The validation part, as timm reads it."""
    config = resolve_model_data_config(model, changes, use_test_size=True)  # type: ignore[no-untyped-call]
    return create_loader(
        create_dataset("", root=str(folder), split="validation"),
        input_size=config["input_size"],
        batch_size=size,
        use_prefetcher=False,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
        crop_pct=config["crop_pct"],
        num_workers=0,
        device=CPU,
    )


def by_timm(
    model: torch.nn.Module, folder: Path, size: int, **changes: Any
) -> tuple[list[float], float, int, list[int]]:
    """Top-1 and top-5 in percent, the loss and the number of images, with nothing of ours.

    Last the numbers of images of which rounding may decide: in which the first two logits, and the fifth and sixth,
    are as good as equal.
    """
    loader = timms_loader(model, folder, size, **changes)
    with torch.no_grad():
        found = [(model.eval()(images), labels) for images, labels in loader]
    logits, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    top = accuracy(logits, labels, topk=(1, 5))  # type: ignore[no-untyped-call]
    ranked = logits.sort(descending=True).values
    ties = [int(((ranked[:, k - 1 : k] - ranked[:, k : k + 1]) < 1e-5).sum()) for k in (1, 5)]
    return [float(value) for value in top], F.cross_entropy(logits, labels).item(), len(labels), ties


@by_timm_too
@pytest.mark.parametrize(
    ("name", "changes"),
    [(SMALL, {}), (SMALL, {"img_size": 96, "crop_pct": 0.8}), ("test_efficientnet", {})],
    ids=["vit", "vit at 96", "efficientnet"],
)
def test_as_timms_own_loader_and_accuracy(name: str, changes: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    classes = len(list((folder / "val").iterdir()))
    torch.manual_seed(0)
    size = {"img_size": changes["img_size"]} if changes else {}
    model = timm.create_model(name, num_classes=classes, **size)
    candidate = OfTimm(name, saved(model, tmp_path))
    top, loss, n, ties = by_timm(model, folder, 7, **changes)
    options = EvalOptions(
        dataset="images",
        data={"images": str(folder)},
        device=CPU,
        batch_size=7,
        image_size=changes.get("img_size"),
        eval_crop=changes.get("crop_pct"),
    )
    outcome, facts = assess(candidate, options)
    assert len(outcome.correct) == n == sum(path.is_file() for path in (folder / "val").rglob("*"))
    # timm reads the files of a class in another order, so a batch holds others, and the last digits differ: by 6e-8 for
    # an addition in fp32, of which a logit has seen some hundreds.
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    for theirs, ours, undecided in zip(top, (outcome.top1, outcome.top5), ties, strict=True):
        assert abs(round((ours - theirs) * n / 100)) <= undecided, "the same number of images"
    assert 0 < outcome.correct.sum() < n, "the model neither knows nor misses everything"
    assert facts["broken"] == 0


@by_timm_too
def test_parquet_files_give_what_timms_loader_gives(odd: Path, timm_finds_tiff: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model(SMALL, num_classes=6)
    top, loss, n, ties = by_timm(model, odd, 7)
    place = as_parquet(odd, tmp_path / "parquet")
    module, location = source("images", {"images": str(place)})
    data = module.load(Run(dataset="images"), location)
    images = TimmImages(data, "test", model)
    outcome = evaluate(model, images.batches(7, 0, CPU), n)
    assert images.corrupt == set()
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    assert ties == [0, 0]
    assert [outcome.top1, outcome.top5] == pytest.approx(top, rel=1e-6)  # one image is 4 %
    assert 0 < top[0] < top[1] < 100


@by_timm_too
def test_every_pixel_is_timms(folder: Path) -> None:
    model = timm.create_model(SMALL)
    module, location = source("images", {"images": str(folder)})
    ours = TimmImages(module.load(Run(dataset="images"), location), "test", model).batches(7, 0, CPU)
    found = [torch.cat([images for images, _ in batches]) for batches in (ours, timms_loader(model, folder, 7))]
    order = [images.double().sum((1, 2, 3)).argsort() for images in found]
    assert torch.equal(found[0][order[0]], found[1][order[1]])


def test_the_number_of_workers_changes_nothing(noise: Path) -> None:
    options = [
        EvalOptions(dataset="noise", data={"noise": str(noise)}, device=CPU, batch_size=5, workers=workers)
        for workers in (0, 2)
    ]
    found = []
    for one in options:
        torch.manual_seed(0)
        found.append(assess(OfTimm(SMALL), one)[0])
    assert found[0].loss == found[1].loss
    assert torch.equal(found[0].correct, found[1].correct)


def test_an_image_that_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    folder = image_folder(tmp_path, {"a": 2, "b": 2}, {"a": 3, "b": 3})
    (folder / "val" / "b" / "1.png").write_bytes(b"no image")
    options = EvalOptions(dataset="x", data={"x": str(folder)}, device=CPU, batch_size=4)
    outcome, facts = assess(OfTimm(SMALL), options)
    assert (len(outcome.correct), facts["broken"]) == (6, 1)


def of_run(run: Run, classes: int, channels: int = 3) -> OfRun:
    model = build(run, channels, classes)
    return OfRun(run, channels, classes, model.state_dict(), Path("weights.pt"))


def test_a_batch_may_be_larger_than_the_part_trained_on(tmp_path: Path) -> None:
    folder = image_folder(tmp_path, {"a": 2, "b": 2}, {"a": 9, "b": 9})
    candidate = of_run(TINY.replace(dataset="x", holdout=0.5, loader="workers", mixup=0.8), 2)
    for part, n in (("test", 18), ("heldout", 2), ("train", 2)):
        options = EvalOptions(dataset="x", data={"x": str(folder)}, device=CPU, batch_size=16, part=part)  # type: ignore[arg-type]
        assert len(assess(candidate, options)[0].correct) == n


def test_a_part_without_images_is_reported(noise: Path) -> None:
    options = EvalOptions(dataset="noise", data={"noise": str(noise)}, device=CPU, part="heldout")
    with pytest.raises(SpecError, match="part heldout of noise has no image"):
        assess(OfTimm(SMALL), options)


def test_another_number_of_classes_is_refused(noise: Path, tmp_path: Path) -> None:
    options = EvalOptions(dataset="noise", data={"noise": str(noise)}, device=CPU)
    path = saved(timm.create_model(SMALL, num_classes=10), tmp_path)
    with pytest.raises(SpecError, match=r"weights\.pth must have 3 classes, as the data, got 10"):
        assess(OfTimm(SMALL, path), options)
    with pytest.raises(SpecError, match="test_vit must have 3 classes, as the data, got 1,000"):
        assess(OfTimm("test_vit", pretrained=True), options)
    with pytest.raises(SpecError, match="must have 3 classes, as the data, got 10"):
        assess(of_run(TINY.replace(dataset="noise", loader="workers"), 10), options)


def test_images_of_other_channels_are_refused(noise: Path) -> None:
    options = EvalOptions(dataset="noise", data={"noise": str(noise)}, device=CPU)
    with pytest.raises(SpecError, match=r"must have 1 channels, got 3 in noise"):
        assess(of_run(TINY.replace(dataset="noise", loader="workers"), 3, channels=1), options)


def test_digits_can_be_read_by_a_model_of_timms() -> None:
    outcome, facts = assess(OfTimm(SMALL), EvalOptions(dataset="digits", device=CPU, image_size=32, batch_size=360))
    assert (len(outcome.correct), facts["image_size"]) == (360, 32)
    with pytest.raises(SpecError, match="has random offsets"):
        assess(OfTimm(SMALL), EvalOptions(dataset="digits_shifted", device=CPU))


@pytest.mark.parametrize(("name", "size"), [("convnext_atto", 1), ("test_vit", 1), ("nest_tiny", 30)])
def test_a_size_a_model_cannot_take_is_reported(name: str, size: int) -> None:
    """One model of timm's fails when it is shown an image, another when it is made, each in its own way."""
    with pytest.raises(SpecError, match=f"{name} cannot process images of {size} pixels: .*; change --image-size"):
        assess(OfTimm(name), EvalOptions(dataset="digits", device=CPU, image_size=size))


def test_a_failed_download_is_reported(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OSError("we couldn't connect\nto the hub")

    monkeypatch.setattr(timm, "create_model", gone)
    with pytest.raises(
        SpecError,
        match="cannot download the weights of resnet10t: we couldn't connect to the hub; check the connection",
    ):
        OfTimm("resnet10t", pretrained=True).model(1000)


def test_root_is_not_needed_by_a_model_of_timms() -> None:
    from ablate.zoo.candidates import find

    assert find(SMALL, Root(Path("nowhere"))) == OfTimm(SMALL)
