"""Launching from a script: a request, its plan, and what a background process would be asked to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablate import load
from ablate.cli import app
from ablate.dispatch import worker
from ablate.dispatch.all_studies import run_studies
from ablate.dispatch.estimate import estimate_runs, estimate_study
from ablate.dispatch.notes import note_failure
from ablate.dispatch.plan import Place
from ablate.dispatch.request import RunRequest
from ablate.dispatch.status import RunStatus
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study.study import Study
from tests import synthetic

SCALE = "digits"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    """The quickstart, with a fake training."""
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))
    return load("quickstart")


def test_a_script_launches_a_study(root: Root, study: Study) -> None:
    request = RunRequest(root=root, place=Place.inline, seeds=1, resources={"threads": 2})
    plan = request.prepare(study, SCALE)
    assert len(plan.missing) == 3
    assert plan.resources == Resources(threads=2)
    shown: list[list[str]] = []
    statuses = plan.execute(lambda found: shown.append([status.state for status in found]))
    assert [status.state for status in statuses] == ["done"] * 3
    assert shown[-1] == ["done"] * 3
    assert len(records.index(root.results)) == 3
    again = request.prepare(study, SCALE)
    assert not again.missing
    assert [status.state for status in again.execute(lambda _: None)] == ["done"] * 3


def test_nothing_is_printed(root: Root, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    request = RunRequest(root=root, place=Place.inline, seeds=1)
    estimate_study(request, study, SCALE)
    request.prepare(study, SCALE).execute(lambda _: None)
    assert capsys.readouterr() == ("", "")


def test_an_estimate_counts_what_is_missing(root: Root, study: Study) -> None:
    records.write(root.results, synthetic.record(study.runs(SCALE)[0]))
    request = RunRequest(root=root, jobs=2)
    found = estimate_study(request, study, SCALE)
    assert (found.total, len(found.missing), found.size, found.disk.side_by_side) == (9, 8, 2, 2)
    assert estimate_runs(request, study.runs(SCALE)) == found
    assert not list(root.runs.glob("*/run.json")), "nothing is requested"


@pytest.mark.parametrize(
    ("place", "detach", "is_detached"),
    [
        (Place.local, None, False),
        (Place.slurm, None, True),
        (Place.slurm, False, False),
        (Place.local, True, True),
        (Place.inline, True, False),
    ],
)
def test_slurm_is_detached_by_default(root: Root, place: Place, detach: bool | None, is_detached: bool) -> None:
    assert RunRequest(root=root, place=place, detach=detach).is_detached is is_detached


def test_a_background_process_gets_the_same_request(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arguments of a request, parsed by `ablate run`, make the same request."""
    made: list[RunRequest] = []

    def prepare(self: RunRequest, *_: object) -> None:
        made.append(self)
        raise SpecError("seen")

    monkeypatch.setattr(RunRequest, "prepare", prepare)
    request = RunRequest(
        root=root,
        seeds=2,
        jobs=3,
        max_retries=4,
        fail_fast=True,
        data={"mine": str(tmp_path)},
        resources={
            "threads": 2,
            "compile": False,
            "memory": "8G",
            "workers": 0,
            "slurm": {"nice": "5", "exclusive": ""},
        },
    )
    result = CliRunner().invoke(app, ["run", *request.arguments("quickstart", SCALE)])
    assert "seen" in result.stderr
    assert made == [request]


def test_earlier_failures_are_forgotten_where_they_still_are(root: Root) -> None:
    request = RunRequest(root=root, retry_failed=True)
    assert "--retry-failed" not in request.arguments("quickstart", SCALE), "prepare has removed their notes"
    assert request.arguments(None, SCALE)[0] == "--all"
    assert "--retry-failed" in request.arguments(None, SCALE)


def test_data_of_other_studies_is_left_out(root: Root, study: Study) -> None:
    request = RunRequest(root=root, data={"cifar10": "/nowhere"})
    with pytest.raises(SpecError, match="must name a dataset that the study uses"):
        request.prepare(study, SCALE)
    assert not request.for_study(study, SCALE).data


def test_each_launch_has_retries_of_its_own(root: Root, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed before the launch of the second study is not retried in it."""
    tried: list[int] = []

    def execute(run: Run, *_: object) -> Record:
        tried.append(run.seed)
        raise RuntimeError("no luck")

    monkeypatch.setattr(worker, "execute", execute)
    one, other = (replace(study, axes={}, seeds=count) for count in (1, 2))
    folder = root.run_folder(other.runs(SCALE)[1].key)
    folder.mkdir(parents=True)
    note_failure(folder, "it failed before", "")
    request = RunRequest(root=root, place=Place.inline, max_retries=1)
    studies = [(one, SCALE), (other, SCALE)]
    found = run_studies(request, studies, lambda plan: plan.execute(lambda _: None), lambda *_: "")
    assert [outcome.failed for outcome in found] == [True, True]
    assert tried == [0, 0], "seed 1 failed before, and seed 0 in the first launch"


def test_one_study_that_cannot_be_launched_does_not_stop_the_next(root: Root, study: Study) -> None:
    def execute(plan: object) -> list[RunStatus]:
        if begun[-1] == "a":
            raise SpecError("not this one")
        return []

    begun: list[str] = []
    request = RunRequest(root=root, seeds=1)
    studies = [(study, SCALE), (study, SCALE)]
    names = iter("ab")
    found = list(run_studies(request, studies, execute, lambda *_: "page", lambda *_: begun.append(next(names))))
    assert [one.error for one in found] == ["not this one", ""]
    assert [one.report for one in found] == ["", "page"]
    assert [one.failed for one in found] == [True, False]
