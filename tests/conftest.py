"""Fixtures of all tests: no settings of the developer, a temporary root, and one small trained run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ablate.data.datasets import needs_location
from ablate.dispatch import slurm
from ablate.model.cost import parameters
from ablate.spec.parts import DATASETS
from ablate.spec.plugins import KINDS
from ablate.spec.run import Run
from ablate.spec.source import constant
from ablate.store.records import Record
from ablate.store.root import Root
from tests.fake_slurm import FakeSlurm
from tests.tiny import TINY, parquet_folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests, so that no process is left with a slow one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the settings and folders of the developer."""
    monkeypatch.delenv("ABLATE_ROOT", raising=False)
    monkeypatch.delenv("ABLATE_DATA", raising=False)
    outside = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("ABLATE_CACHE", str(outside / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(outside / "no settings"))


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a few small images of each class for every dataset that needs a path; return the paths."""
    found = {}
    for name in filter(needs_location, DATASETS):
        classes = [f"n{label:08}" for label in range(constant(DATASETS.path(name), "CLASSES"))]
        where = tmp_path_factory.mktemp(name)
        found[name] = str(parquet_folder(where, dict.fromkeys(classes, 5), dict.fromkeys(classes, 1)))
    return found


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """Find a folder of real images by name in ABLATE_TEST_DATA, else ../shared/data; skip the test without it."""
    folder = Path(os.environ.get("ABLATE_TEST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))

    def find(name: str) -> Path:
        if not (folder / name).is_dir():
            pytest.skip(f"there is no {name} in ABLATE_TEST_DATA or ../shared/data")
        return folder / name

    return find


@pytest.fixture
def own_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the user's own files that a test registers."""
    parameters.cache_clear()
    for registry in KINDS.values():
        monkeypatch.setattr(registry, "_modules", dict(registry._modules))
        monkeypatch.setattr(registry, "_paths", dict(registry._paths))
    yield
    for name in [name for name in sys.modules if name.startswith("ablate_file_")]:
        del sys.modules[name]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Return a root whose folders exist."""
    found = Root.at(tmp_path / "root")
    found.make_writable()
    return found


@pytest.fixture
def tiny() -> Run:
    """Return a run that trains in a tenth of a second."""
    return TINY


@pytest.fixture(scope="session")
def trained() -> Record:
    """Train `tiny` once; return its record for tests that only read it."""
    from ablate.spec.resources import Resources
    from ablate.train.execute import execute

    return execute(TINY, Resources())


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Use one thread, so that sums have the same order on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fake_slurm(monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """Replace Slurm by a simulation in this process, without pauses between two queries."""
    found = FakeSlurm()
    monkeypatch.setattr(slurm, "call", found.call)
    monkeypatch.setattr(slurm, "QUEUE", slurm.Queue())
    monkeypatch.setattr(slurm, "QUERY_EVERY_S", 0.0)
    return found
