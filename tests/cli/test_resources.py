"""Every field of Resources is an option of `run` and `plan`, overrides the settings, and reaches the workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.dispatch import worker
from ablate.dispatch.request import as_arguments
from ablate.spec.resources import Resources, options
from ablate.store.root import Root
from tests import synthetic

KEY = load("quickstart").runs()[0].key


def run(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["run", "quickstart", "--seeds", "1", "--root", str(folder), *more])


@pytest.fixture(autouse=True)
def _instant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))
    monkeypatch.setattr("ablate.report.render", lambda *_, **__: tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def requested(folder: Path, *more: str) -> Resources:
    result = run(folder, "--on", "inline", *more)
    assert result.exit_code == 0, result.output
    return worker.requested(Root(folder), KEY)[1]


@pytest.mark.parametrize("command", ["run", "plan"])
def test_every_field_has_its_option(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], terminal_width=200).stdout
    assert all(f"--{item.name.replace('_', '-')}" in shown for item in options())


def test_options_reach_the_request(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "threads": 2,
        "device": "cpu",
        "micro_batch": 64,
        "compile": True,
        "checkpoint_minutes": 2.5,
        "keep": "all",
        "memory": "8G",
    }
    assert requested(tmp_path, *as_arguments(given), "--slurm=nice=5", "--slurm=exclusive") == Resources(
        **given, slurm={"nice": "5", "exclusive": ""}
    )


def test_options_override_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ablate.toml").write_text('[resources]\nthreads = 3\nkeep = "none"\ncompile = true\n')
    assert requested(tmp_path, "--threads", "2", "--no-compile") == Resources(threads=2, keep="none")


def test_no_option_changes_a_key(tmp_path: Path) -> None:
    requested(tmp_path, "--threads", "2", "--micro-batch", "64", "--deterministic", "--channels-last")
    assert {path.stem for path in (tmp_path / "results").rglob("*.json")} == {
        r.key for r in load("quickstart").runs(seeds=1)
    }


@pytest.mark.parametrize(
    ("more", "settings", "wanted"),
    [
        (
            ["--slurm", "reservatoin=x"],
            "",
            "sbatch has no option reservatoin; did you mean 'reservation'?",
        ),
        (["--slurm", "partition=x"], "", "slurm option partition must be set with --partition"),
        (["--slurm", "=x"], "", "--slurm must be NAME or NAME=VALUE, got '=x'"),
        (["--slurm", "reservation"], "", "slurm option reservation needs a value; use --slurm reservation=VALUE"),
        (["--memory", "32"], "", "memory must be a whole number with a unit, such as 32G or 500M, got '32'"),
        (["--memory", "8G", "--slurm", "mem-per-cpu=1G"], "", "sbatch accepts only one request for memory"),
        (["--keep", "some"], "", "keep must be one of all, final, none, got 'some'"),
        (
            [],
            "[resources]\npartitoin = 'x'\n",
            "ablate.toml sets the unknown resources.partitoin; did you mean 'partition'?",
        ),
        ([], "[resources]\nthreads = 'x'\n", "threads must be a whole number, got 'x'"),
        (["--nodes", "2"], "", "nodes must be 1 on this machine, got 2; use --on slurm"),
        (["--on", "inline", "--gpus-per-run", "2"], "", "a run must have 1 process with --on inline, got 2"),
    ],
)
def test_a_wrong_one_is_a_sentence(tmp_path: Path, more: list[str], settings: str, wanted: str) -> None:
    (tmp_path / "ablate.toml").write_text(settings)
    result = run(tmp_path, *more)
    assert result.exit_code == 2
    assert wanted in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("run.json"))
