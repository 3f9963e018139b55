"""CIFAR as torchvision keeps it: made here in miniature, with the checksums of what was made."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from ablate.data.datasets import cifar10, cifar100
from ablate.data.datasets._directory import Directory
from ablate.data.datasets._timm import Timm
from ablate.spec.errors import SpecError
from tests.tiny import TINY

RUN = TINY.replace(dataset="cifar10", batch_size=2, holdout=0.0)


def written(path: Path, content: dict[str, Any]) -> list[str]:
    """Pickled; its name and checksum."""
    path.write_bytes(pickle.dumps(content))
    return [path.name, hashlib.md5(path.read_bytes()).hexdigest()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images of each class to train on and one to test on, all of one shade."""
    where = tmp_path / "cifar-10-batches-py"
    where.mkdir()

    def images(labels: list[int]) -> dict[str, Any]:
        return {"data": np.array([[10 * label] * 3072 for label in labels], np.uint8), "labels": labels}

    original = torchvision.datasets.CIFAR10
    monkeypatch.setattr(original, "train_list", [written(where / "data_batch_1", images([*range(10)] * 2))])
    monkeypatch.setattr(original, "test_list", [written(where / "test_batch", images([*range(10)]))])
    names = written(where / "batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(original, "meta", {"filename": names[0], "key": "label_names", "md5": names[1]})
    return tmp_path


@pytest.fixture
def small() -> Directory:
    return Directory((Timm("torch/cifar10", "cifar-10-batches-py"),), 10)


def test_a_local_copy_is_read(folder: Path, small: Directory) -> None:
    small.check(RUN, folder)
    data = small.load(RUN, folder)
    assert data.classes == tuple("abcdefghij")
    assert {part: len(indices) for part, indices in data.parts.items()} == {"train": 20, "heldout": 0, "test": 10}
    for index, label in enumerate(data.labels.tolist()):
        assert data.reader[index].getpixel((3, 3)) == (10 * label,) * 3
    assert data.reader.name(21) == "image 1 of the test part"
    assert len(small.load(RUN.replace(holdout=0.5), folder).parts["heldout"]) == 10
    copy = pickle.loads(pickle.dumps(data.reader.random_access()))
    assert copy[29].tobytes() == data.reader[29].tobytes()


def test_its_fingerprint_is_of_all_it_holds(folder: Path, small: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = small.fingerprint(folder)
    path = folder / "cifar-10-batches-py" / "test_batch"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    _known(path, monkeypatch)
    assert small.fingerprint(folder) != before


def _known(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torchvision take a changed file for whole."""
    checksum = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", [[path.name, checksum]])


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"less")])
def test_a_copy_that_is_not_whole_is_refused(folder: Path, small: Directory, harm: Any) -> None:
    harm(folder / "cifar-10-batches-py" / "data_batch_1")
    with pytest.raises(SpecError, match=r"contains no complete torch/cifar10: Dataset not found or corrupted"):
        small.load(RUN, folder)
    with pytest.raises(SpecError, match="contains no complete"):
        small.facts(folder)


def test_its_facts_are_those_of_its_images(folder: Path, small: Directory) -> None:
    facts = small.facts(folder)
    assert facts.classes == tuple("abcdefghij")
    assert (facts.train, facts.test) == ((2,) * 10, (1,) * 10)


@pytest.mark.parametrize("module", [cifar10, cifar100])
def test_the_numbers_are_those_published(module: Any) -> None:
    assert module.DIRECTORY.usual == (50_000, 10_000)
    assert module.IMAGES == 60_000
    assert module.ORIGINAL.folder == getattr(torchvision.datasets, module.__name__.split(".")[-1].upper()).base_folder
