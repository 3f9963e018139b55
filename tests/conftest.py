"""Fixtures of all tests: no setting from outside, a root in a temporary folder, and one tiny trained run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ablate.paths import Root
from ablate.records import Record
from ablate.spec import Run
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own folders must not decide a test."""
    monkeypatch.delenv("ABLATE_ROOT", raising=False)
    monkeypatch.delenv("ABLATE_DATA", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root whose folders exist."""
    found = Root.at(tmp_path / "root")
    found.make_writable()
    return found


@pytest.fixture
def tiny() -> Run:
    """A run that trains in a tenth of a second."""
    return TINY


@pytest.fixture(scope="session")
def trained() -> Record:
    """The record of `tiny`, really trained, once for all tests that only read it."""
    from ablate.execution import execute
    from ablate.resources import Resources

    return execute(TINY, Resources())


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread, so that sums are added up in the same order everywhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
