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
        ("slurm", {"array": "0-9"}, "slurm option array is set by ablate itself; leave it out"),
        ("slurm", {"reservation": ""}, "slurm option reservation needs a value; use --slurm reservation=VALUE"),
        ("slurm", {"hold": "yes"}, "slurm option hold has no value, got 'yes'; use --slurm hold"),
        ("slurm", {"nice": 5}, "slurm option nice must be text, in quotes, got 5"),
        ("slurm", {"comment": "a\nrm -r b"}, "slurm option comment must be printable text on one line"),
        ("slurm", {"gres": "gpu:a100:4"}, "slurm option gres requests 4 GPUs, and gpus_per_run is 1"),
        ("partition", "a\nb", "partition must be printable text on one line, got 'a\\nb'"),
        ("memory", "32", "memory must be a whole number with a unit, such as 32G or 500M, got '32'"),
        ("memory", "1.5G", "memory must be a whole number with a unit"),
        ("memory", "-1G", "memory must be a whole number with a unit"),
        ("memory", "32 GB", "memory must be a whole number with a unit"),
        ("gpus_per_run", 0, "gpus_per_run must be 1 or more, got 0"),
        ("gpus_per_run", -1, "gpus_per_run must be 1 or more, got -1"),
        ("minutes", -1, "minutes must be 0 or more, got -1"),
        ("device", "gpu", "device must be auto, cpu, cuda, cuda:N, mps, xpu or xpu:N, got 'gpu'"),
    ],
)
def test_invalid_values_are_refused(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        Resources(**{name: value})
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"memory": "8G", "slurm": {"mem-per-cpu": "2G"}}, "got --memory 8G and --slurm mem-per-cpu=2G; keep one"),
        ({"slurm": {"mem-per-cpu": "2G", "mem-per-gpu": "1G"}}, "got --slurm mem-per-cpu=2G and --slurm mem-per-gpu"),
        ({"device": "cuda:1", "gpus_per_run": 2}, "device cuda:1 is one GPU, and gpus_per_run is 2"),
    ],
)
def test_values_that_exclude_each_other_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        Resources(**given)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        *({"memory": memory} for memory in ("", "0", "32G", "32GB", "500m", "1T")),
        {"slurm": {"exclusive": "", "hold": "", "nice": "", "x11": "all"}},
        {"slurm": {"gres": "gpu:a100:4,tmp:1"}, "gpus_per_run": 4},
        {"slurm": {"gres": "tmp:9"}, "gpus_per_run": 4},
        {"device": "cuda:0"},
    ],
)
def test_valid_values_are_accepted(given: dict[str, Any]) -> None:
    assert Resources.from_dict(Resources(**given).to_dict()) == Resources(**given)


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
    text = '[resources]\nthreads = 4\npartition = "gpu"\n[resources.slurm]\nnice = 5\nhold = true\nreboot = false\n'
    write_settings(monkeypatch, tmp_path, text)
    assert Resources(**from_settings()) == Resources(threads=4, partition="gpu", slurm={"nice": "5", "hold": ""})


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
