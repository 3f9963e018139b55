"""Resources: valid values, settings files, and nothing that belongs to a run."""

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
    """Resources must not change the key."""
    assert not {item.name for item in fields(Resources)} & {item.name for item in fields(Run)}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("threads", 0, "threads must be 1 or more, got 0"),
        ("threads", "two", "threads must be a whole number, got 'two'"),
        ("threads", True, "threads must be a whole number, got True"),
        ("threads", 1.5, "threads must be a whole number, got 1.5"),
        ("workers", -1, "workers must be 0 or more, got -1"),
        ("compile", 1, "compile must be true or false, got 1"),
        ("keep", "some", "keep must be one of all, final, none, got 'some'"),
        ("max_corrupt", 1.5, "max_corrupt must be between 0 and 1, got 1.5"),
        ("checkpoint_minutes", float("nan"), "checkpoint_minutes must be a finite number below 2**63, got nan"),
        ("partition", 7, "partition must be text, in quotes, got 7"),
        ("slurm", "reservation=x", "slurm must be a table of NAME = VALUE, got 'reservation=x'"),
        (
            "slurm",
            {"reservatoin": "x"},
            "sbatch has no option reservatoin; did you mean 'reservation'? known are bb,",
        ),
        ("slurm", {"time": "1"}, "slurm option time must be set with --minutes"),
    ],
)
def test_invalid_values_are_refused(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        Resources(**{name: value})
    assert sentence in str(error.value)


def test_an_unknown_sbatch_option_lists_the_known_ones() -> None:
    with pytest.raises(SpecError) as error:
        Resources(slurm={"nonsense": "x"})
    assert all(name in str(error.value) for name in sbatch.OPTIONS)


def test_they_are_equal_after_a_round_trip() -> None:
    found = Resources(threads=2, workers=1, device="cpu", data={"mine": "/somewhere"}, slurm={"nice": "5"})
    assert Resources.from_dict(found.to_dict()) == found
    assert Resources.from_dict({"allow_broken": 0.5}).max_corrupt == 0.5, "its name in files of earlier versions"
    assert Resources.from_dict({"threads": 2}).threads == 2, "a file of an older version has fewer fields"


def test_fields_of_a_newer_version_are_refused() -> None:
    with pytest.raises(SpecError, match=r"this version of ablate knows no resources new, other"):
        Resources.from_dict(Resources().to_dict() | {"other": 1, "new": True})


def test_every_field_has_a_meaning() -> None:
    assert {item.name for item in fields(Resources)} - {item.name for item in options()} == {"data"}
    assert all(item.metadata["meaning"].endswith(".") for item in options())


def write_settings(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    (folder / "ablate.toml").write_text(text)


def test_the_settings_may_hold_any_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[resources]\nthreads = 4\npartition = "gpu"\n[resources.slurm]\nnice = 5\n'
    write_settings(monkeypatch, tmp_path, text)
    assert Resources(**from_settings()) == Resources(threads=4, partition="gpu", slurm={"nice": "5"})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("thread = 4", "resources.thread; did you mean 'threads'? known are threads, workers,"),
        ("allow_broken = 0.1", "resources.allow_broken; it is now called max_corrupt"),
        ('data = "x"', "resources.data; known are threads"),
    ],
)
def test_an_unknown_name_in_the_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, sentence: str
) -> None:
    write_settings(monkeypatch, tmp_path, f"[{resources.SECTION}]\n{line}\n")
    with pytest.raises(SpecError) as error:
        from_settings()
    assert sentence in str(error.value)


def test_processes_are_those_of_all_nodes() -> None:
    assert Resources(nodes=2, gpus_per_run=4).processes == 8
