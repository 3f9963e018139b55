"""How a run is executed, which never reaches its key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ablate.spec import resources, sbatch
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources, from_settings, options
from ablate.spec.run import Run


def test_no_resource_is_a_field_of_run() -> None:
    """What must not change the expected result must not change the key."""
    assert not {item.name for item in fields(Resources)} & {item.name for item in fields(Run)}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("threads", 0, "threads is 0; wanted is a whole number, 1 or more"),
        ("threads", "two", "threads is 'two'; wanted is a whole number"),
        ("threads", True, "threads is True; wanted is a whole number"),
        ("threads", 1.5, "threads is 1.5; wanted is a whole number"),
        ("workers", -1, "workers is -1; wanted is a whole number, 0 or more"),
        ("compile", 1, "compile is 1; wanted is true or false"),
        ("keep", "some", "keep is 'some'; wanted is one of all, final, none"),
        ("max_corrupt", 1.5, "max_corrupt is 1.5; wanted is a number between 0 and 1"),
        ("checkpoint_minutes", float("nan"), "checkpoint_minutes is nan; wanted is a number, 0 or more"),
        ("partition", 7, "partition is 7; wanted is a text"),
        ("slurm", "reservation=x", "slurm is 'reservation=x'; wanted is a table"),
        (
            "slurm",
            {"reservatoin": "x"},
            "slurm names reservatoin, which sbatch does not know; did you mean reservation",
        ),
        ("slurm", {"time": "1"}, "slurm names time; wanted is --minutes"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(SpecError) as error:
        Resources(**{name: value})
    assert wanted in str(error.value)


def test_an_unknown_option_of_sbatch_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SpecError) as error:
        Resources(slurm={"nonsense": "x"})
    assert all(name in str(error.value) for name in sbatch.OPTIONS)


def test_they_survive_being_written_down() -> None:
    found = Resources(threads=2, workers=1, device="cpu", data={"mine": "/somewhere"}, slurm={"nice": "5"})
    assert Resources.from_dict(found.to_dict()) == found
    assert Resources.from_dict({"threads": 2}).threads == 2, "an older version named fewer"


def test_those_of_a_newer_version_are_refused_in_a_sentence() -> None:
    with pytest.raises(SpecError, match=r"resources name new, other, which this version of ablate does not know"):
        Resources.from_dict(Resources().to_dict() | {"other": 1, "new": True})


def test_every_field_says_what_it_means() -> None:
    assert {item.name for item in fields(Resources)} - {item.name for item in options()} == {"data"}
    assert all(item.metadata["meaning"].endswith(".") for item in options())


def written(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    (folder / "ablate.toml").write_text(text)


def test_the_settings_may_hold_any_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[resources]\nthreads = 4\npartition = "gpu"\n[resources.slurm]\nnice = 5\n'
    written(monkeypatch, tmp_path, text)
    assert Resources(**from_settings()) == Resources(threads=4, partition="gpu", slurm={"nice": "5"})


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("thread = 4", "resources.thread; did you mean threads? known are threads, workers,"),
        ('data = "x"', "resources.data; known are threads"),
    ],
)
def test_what_is_no_resource_is_refused_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, wanted: str
) -> None:
    written(monkeypatch, tmp_path, f"[{resources.SECTION}]\n{line}\n")
    with pytest.raises(SpecError) as error:
        from_settings()
    assert wanted in str(error.value)


def test_processes_are_those_of_all_nodes() -> None:
    assert Resources(nodes=2, gpus_per_run=4).processes == 8
