"""Golden keys: every name that enters a key is listed here, and no name may change.

A key is a digest of the fields of a run and of the behaviour numbers above 1, each under a name such as `workers.py` or
`mixers/pool`. Such a name was once the path of a file. A file may move and its module may be renamed; the name stays.
So these tests use no paths: the file behind a name is that of an imported module.

A test fails here after one of these changes:

- A name, a default, the layout of the text or the digest changed. Revert it: existing records would not be found.
- The BEHAVIOUR of a part was raised on purpose. Renew the keys that it enters, which `python -m tests.spec.test_keys`
  prints. Update the number where `behaviours` is tested. Train the outdated records again, or remove them.
- DEIT or the LOADER of a dataset was changed on purpose. Renew the keys of those runs only.
- A mixer, channel, stem or dataset is new. Add its line. No other key changes.
- A file that every run uses is new. It starts with BEHAVIOUR 1. Renew only RAISED.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ablate.data import augment, datasets, images, mixup, resident, workers
from ablate.data.datasets import _directory
from ablate.measure import record as speed_record
from ablate.model import block, build
from ablate.spec import seeds, source
from ablate.spec.parts import CHANNELS, DATASETS, MIXERS, STEMS, behaviours
from ablate.spec.recipes import DEIT
from ablate.spec.registry import Registry
from ablate.spec.run import ADDED_LATER, Run
from ablate.store import records
from ablate.train import loop, optim

RESULTS = Path(__file__).parents[2] / "results"

# The modules that every run uses, by the names under which their behaviour numbers enter its key.
MODULES: dict[str, ModuleType] = {
    "seeds.py": seeds,
    "block.py": block,
    "models.py": build,
    "datasets/__init__.py": datasets,
    "images.py": images,
    "augment.py": augment,
    "mixup.py": mixup,
    "optim.py": optim,
    "train.py": loop,
}
RESIDENT = ("digits", "digits_pairs", "digits_shifted", "cifar10", "cifar100")  # loader processes read the others

# A run of which the tests change one field at a time. Some of its fields enter the key; others do not, since they were
# added later and have the value that means the behaviour before.
BASE = Run(pool="avg", patch_size=4, dim=64, heads=4, lr=2e-3, stem="conv")

# Field, value, and the key and architecture of BASE with it: each mixer, channel, stem, dataset and loader.
KEYS = [
    ("mixer", "attention", "faf279bf19", "d0ced3ef30"),
    ("mixer", "dwconv", "83dce0aad4", "62fa7908d4"),
    ("mixer", "fourier", "223a6d69ae", "b1077f67ac"),
    ("mixer", "gating", "1acd1f01b2", "322d035190"),
    ("mixer", "linear", "ac42fd69ce", "d6cf92998a"),
    ("mixer", "none", "72f17d5b12", "85d3d74c13"),
    ("mixer", "patch_ff", "1369f9cc6b", "7bede1296e"),
    ("mixer", "pool", "d1c192a882", "d486ded61e"),
    ("mixer", "random", "4b4aa28d2d", "4e36d0ce4d"),
    ("channel", "attention", "8a88f03ae7", "1f41dc4ec5"),
    ("channel", "ff", "faf279bf19", "d0ced3ef30"),
    ("channel", "none", "2ef5038200", "36f046ccef"),
    ("stem", "conv", "faf279bf19", "d0ced3ef30"),
    ("stem", "frozen", "edbaea2a8a", "9d6ac37f22"),
    ("stem", "patchify", "a1420e29ba", "e76399f8d0"),
    ("dataset", "cifar10", "49bff7ecb6", "d0ced3ef30"),
    ("dataset", "cifar100", "5cbdd21d0f", "d0ced3ef30"),
    ("dataset", "digits", "a54891a68d", "d0ced3ef30"),
    ("dataset", "digits_pairs", "9aff165a5d", "d0ced3ef30"),
    ("dataset", "digits_shifted", "faf279bf19", "d0ced3ef30"),
    ("dataset", "imagenet", "e0dff6ffac", "d0ced3ef30"),
    ("dataset", "a_folder", "3df940fab7", "d0ced3ef30"),
    ("loader", "auto", "faf279bf19", "d0ced3ef30"),
    ("loader", "resident", "b1fd9aa53d", "d0ced3ef30"),
    ("loader", "workers", "371e9055ac", "d0ced3ef30"),
]

WHOLE: dict[str, dict[str, Any]] = {"default": {}, "DeiT": DEIT}
# Key and architecture of these two if every behaviour number were 2: then every name is in the digest.
RAISED = {
    "default": ("6e8be0009f", "624aa67f5a"),
    "DeiT": ("b476d97963", "897c3d1499"),
}


@pytest.mark.parametrize(("field", "value", "key", "architecture"), KEYS)
def test_the_keys_of_every_part(field: str, value: str, key: str, architecture: str) -> None:
    run = BASE.replace(**{field: value})
    assert (run.key, run.architecture) == (key, architecture)


@pytest.mark.parametrize(
    ("field", "parts"), [("mixer", MIXERS), ("channel", CHANNELS), ("stem", STEMS), ("dataset", DATASETS)]
)
def test_every_part_is_listed(field: str, parts: Registry) -> None:
    """Parts in the user's own files, which another test may have registered, are excluded."""
    lines = {value for name, value, *_ in KEYS if name == field}
    assert {name for name in parts if parts.file(name) is None} == lines - {"a_folder"}


def test_the_key_of_a_default_run() -> None:
    assert behaviours(Run()) == {}
    assert (Run().key, Run().architecture) == ("32bc8a10ce", "07faa15780")


def test_the_key_of_deits_recipe() -> None:
    """The numbers of workers.py and imagenet.py are the only ones above 1."""
    run = Run(**DEIT)
    assert behaviours(run) == {"workers.py": 2, "datasets/imagenet": 2}
    assert (run.key, run.architecture) == ("6b61d3e960", "e869e1f777")


def declare(monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[Path], int]) -> None:
    """Replace the behaviour number of every file by a function of its path."""
    declared = source.constant

    def constant(path: Path, name: str) -> Any:
        return behaviour(path.resolve()) if name == "BEHAVIOUR" else declared(path, name)

    monkeypatch.setattr(source, "constant", constant)


@pytest.mark.parametrize("name", WHOLE)
def test_the_key_with_every_number_raised(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, lambda _: 2)
    run = Run(**WHOLE[name])
    assert (run.key, run.architecture) == RAISED[name]


@pytest.mark.parametrize(("field", "value"), [line[:2] for line in KEYS])
def test_each_number_enters_under_its_name(field: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number comes from the current file, under its fixed name; parts that a run does not use stay out."""
    run = BASE.replace(**{field: value})
    read_by_workers = run.loader == "workers" or (run.loader == "auto" and run.dataset not in RESIDENT)
    expected = MODULES | {
        f"mixers/{run.mixer}": MIXERS[run.mixer],
        f"channels/{run.channel}": CHANNELS[run.channel],
        f"stems/{run.stem}": STEMS[run.stem],
        **({"workers.py": workers} if read_by_workers else {"resident.py": resident}),
        **({"datasets/_directory": _directory} if run.dataset == "a_folder" else {}),
        **({f"datasets/{run.dataset}": DATASETS[run.dataset]} if run.dataset != "a_folder" else {}),
    }
    files: list[Path] = []

    def own(path: Path) -> int:
        """Return a distinct number for each file."""
        if path not in files:
            files.append(path)
        return 2 + files.index(path)

    declare(monkeypatch, own)
    assert behaviours(run) == {name: own(Path(str(module.__file__)).resolve()) for name, module in expected.items()}


def test_committed_records_have_the_keys_of_their_runs() -> None:
    found = {key: records.read(path, history=False).as_run().key for key, path in records.index(RESULTS).items()}
    assert found, "there must be records to check"
    assert {key: now for key, now in found.items() if now != key} == {}


def test_committed_measurements_have_the_architectures_of_their_models() -> None:
    subjects = [found.subject for _, found in speed_record.read_all(RESULTS)]
    of_runs = [subject for subject in subjects if subject["run"]]
    assert of_runs, "there must be measurements to check"
    for subject in of_runs:
        assert Run.from_dict({**ADDED_LATER, **subject["run"]}).architecture == subject["architecture"], subject[
            "label"
        ]


if __name__ == "__main__":
    for field, value, *_ in KEYS:
        run = BASE.replace(**{field: value})
        print(f"    {(field, value, run.key, run.architecture)},".replace("'", '"'))
    with pytest.MonkeyPatch.context() as patch:
        for title in ("as they are", "every number 2"):
            print(title)
            for name, fields in WHOLE.items():
                run = Run(**fields)
                print(f"    {name!r}: {(run.key, run.architecture)},".replace("'", '"'))
            declare(patch, lambda _: 2)
