"""The Slurm pool against a fake cluster: submit, fail, retry, cancel, lose a job."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ablate.dispatch import launch, lease, worker
from ablate.dispatch.cancel import cancel
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.slurm_pool import SlurmPool, arrays, by_submitit, parameters, with_output
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.spec import sbatch
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests import synthetic
from tests.fake_slurm import FakeSlurm

TINY = {"dim": 8, "depth": 1, "heads": 1, "image_size": 12, "patch_size": 4, "epochs": 1, "pool": "avg"}
RUNS = [Run(**TINY, mixer=mixer, seed=seed) for seed in range(2) for mixer in ("attention", "none")]


@pytest.fixture(autouse=True)
def _instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "POLL_S", 0.0)
    monkeypatch.setattr("ablate.dispatch.retries.BACKOFF_S", 0.0)
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))


class Study:
    """Four runs prepared in a root, and a pool for them."""

    def __init__(self, root: Root, fake_slurm: FakeSlurm, jobs: int | None = None, **fields: Any) -> None:
        self.root, self.fake_slurm = root, fake_slurm
        self.resources = Resources(**fields)
        self.monitor = StatusMonitor(root, RUNS)
        self.keys = [run.key for run in launch.prepare(root, self.monitor, self.resources)]
        self.ledger = Ledger(root, "slurm", self.keys)
        self.batch = SlurmPool(root, self.resources, self.ledger, jobs, fake_slurm.submit)

    def submit(self) -> Study:
        """Submit, and leave."""
        self.batch.fill(self.monitor.poll())
        self.ledger.leave()
        return self

    def supervise(self, act: Callable[[list[RunStatus]], None], policy: RetryPolicy | None = None) -> list[str]:
        """Supervise until all runs have ended; `act` plays the cluster at each poll."""
        statuses = launch.launch(self.root, self.monitor, self.batch, self.ledger, act, policy)
        return [status.state for status in statuses]

    def states(self) -> list[str]:
        return [status.state for status in StatusMonitor(self.root, RUNS).poll()]


def test_submitted_queued_running_done(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm).submit()
    assert study.states() == ["queued"] * 4
    (status, *_) = study.monitor.poll()
    assert (status.job, status.error) == ("100_0", "Priority")
    fake_slurm.work_all()
    assert study.states() == ["done"] * 4
    assert sorted(records.index(root.results)) == sorted(study.keys)


def test_a_second_launcher_submits_nothing_twice(root: Root, fake_slurm: FakeSlurm) -> None:
    Study(root, fake_slurm).submit()
    again = Study(root, fake_slurm).submit()
    assert again.ledger.launch.jobs == {}
    assert len(fake_slurm.submissions) == 1
    assert again.states() == ["queued"] * 4


def test_a_failed_run_is_resubmitted(
    root: Root,
    fake_slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def execute(run: Run, *_: object) -> records.Record:
        tried.append(run.key)
        if tried.count(RUNS[1].key) == 1 and run == RUNS[1]:
            raise RuntimeError("no luck")
        return synthetic.record(run)

    monkeypatch.setattr(worker, "execute", execute)
    study = Study(root, fake_slurm)
    assert study.supervise(lambda _: fake_slurm.work_all(), RetryPolicy(max_retries=1)) == ["done"] * 4
    assert len(fake_slurm.submissions) == 2
    assert tried.count(RUNS[1].key) == 2


@pytest.mark.parametrize("ended", ["FAILED|0:9", None], ids=["accounting knows", "vanished"])
def test_a_lost_job_is_shown_as_lost_and_its_run_is_retried(
    root: Root,
    fake_slurm: FakeSlurm,
    ended: str | None,
) -> None:
    study, policy = Study(root, fake_slurm), RetryPolicy(max_retries=1)

    def act(_: Sequence[RunStatus]) -> None:
        if "100_2" in fake_slurm.jobs:
            hold(root, study.keys[2], "100_2")
            fake_slurm.end("100_2", ended) if ended else fake_slurm.vanish("100_2")
        fake_slurm.work_all()

    assert study.supervise(act, policy) == ["done"] * 4
    assert len(fake_slurm.submissions) == 2
    assert policy.attempts == {study.keys[2]: 1}


def test_a_lost_job_without_a_supervisor_is_lost(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm).submit()
    hold(root, study.keys[0], "100_0")
    fake_slurm.vanish("100_0")
    fake_slurm.vanish("100_1")
    assert study.states() == ["lost", "lost", "queued", "queued"]
    after = Study(root, fake_slurm).submit()
    assert sorted(after.ledger.launch.jobs.values()) == sorted([key] for key in study.keys[:2])
    assert study.states() == ["queued"] * 4


def hold(root: Root, key: str, name: str) -> None:
    """Write the lease of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    owner = replace(lease.Owner.current("w"), pid=process.pid, started="1", job=name)
    (root.run_folder(key) / "lease.1").write_bytes(orjson.dumps(owner.__dict__))


def test_no_run_is_lost_while_slurm_does_not_answer(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm).submit()
    fake_slurm.silent = True
    assert study.states() == ["queued"] * 4
    again = Study(root, fake_slurm).submit()
    assert len(fake_slurm.submissions) == 1
    assert again.monitor.poll()[0].error == "Slurm does not answer"


def test_fail_fast_cancels_the_other_jobs(
    root: Root,
    fake_slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> records.Record:
        raise RuntimeError("no luck")

    monkeypatch.setattr(worker, "execute", fail)
    study = Study(root, fake_slurm)
    study.supervise(lambda _: "100_0" in fake_slurm.jobs and fake_slurm.work("100_0"), RetryPolicy(fail_fast=True))
    assert not fake_slurm.jobs
    assert sum(how.startswith("CANCELLED") for how in fake_slurm.gone.values()) == 3


def test_an_interrupted_supervisor_leaves_the_jobs(root: Root, fake_slurm: FakeSlurm) -> None:
    def interrupt(statuses: Sequence[RunStatus]) -> None:
        if fake_slurm.jobs:
            raise KeyboardInterrupt

    study = Study(root, fake_slurm)
    with pytest.raises(KeyboardInterrupt):
        study.supervise(interrupt)
    assert study.states() == ["queued"] * 4


def test_cancel_ends_all_jobs_of_a_study(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm).submit()
    fake_slurm.work("100_1")
    assert cancel(root, study.monitor) == {"runs": 3, "jobs": 3, "workers": 0}
    assert not fake_slurm.jobs
    assert study.states() == ["waiting", "done", "waiting", "waiting"]
    assert Study(root, fake_slurm).submit().states() == ["queued", "done", "queued", "queued"], (
        "it can be launched again"
    )


def test_cancel_stops_a_worker_that_has_just_taken_a_run(
    root: Root, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is free at the first poll, and taken before its request is removed."""
    study = Study(root, fake_slurm)
    poll = study.monitor.poll
    taken: list[lease.Lease | None] = []
    sent: list[int] = []

    def poll_late() -> list[RunStatus]:
        found = poll()
        if not taken:
            taken.append(lease.Lease.acquire(root.run_folder(study.keys[0]), "w-0"))
        return found

    def stop(pid: int, number: int) -> None:
        sent.append(number)
        assert taken[0] is not None
        taken[0].release()

    monkeypatch.setattr(study.monitor, "poll", poll_late)
    monkeypatch.setattr("ablate.dispatch.cancel.os.kill", stop)
    assert cancel(root, study.monitor)["workers"] == 1
    assert sent == [signal.SIGTERM]


def test_cancel_of_one_run_leaves_its_job_to_the_others(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm, runs_per_job=2).submit()
    assert cancel(root, StatusMonitor(root, RUNS[:1])) == {"runs": 1, "jobs": 0, "workers": 0}
    fake_slurm.work_all()
    assert study.states() == ["waiting", "done", "done", "done"]


def test_jobs_are_split_into_arrays(fake_slurm: FakeSlurm) -> None:
    fake_slurm.longest = 3
    slices = [["0", "1"], ["2"], ["3", "4"], ["5"]]
    assert arrays(slices) == [slices[:3], slices[3:]]
    assert arrays(slices[:1]) == [slices[:1]]
    assert arrays([]) == []


def test_short_runs_share_a_job_with_its_own_limit(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm, run_minutes=4.0).submit()
    assert list(study.ledger.launch.jobs.values()) == [study.keys[:2], study.keys[2:]]
    assert [one["time"] for one in fake_slurm.submissions] == [17], "1.5 times 8 minutes, and 5 for its start"
    fake_slurm.work_all()
    assert study.states() == ["done"] * 4


def test_a_job_that_ends_early_leaves_its_other_runs_to_the_next(root: Root, fake_slurm: FakeSlurm) -> None:
    """Its first run is done, its second one lost its worker, and the others were not tried: only the second failed."""
    study = Study(root, fake_slurm, runs_per_job=4)

    def act(_: Sequence[RunStatus]) -> None:
        if "100" in fake_slurm.jobs:
            worker.work(str(root.path), study.keys[:1], "slurm100r0")
            hold(root, study.keys[1], "100")
            fake_slurm.end("100", "OUT_OF_MEMORY|0:125")
        fake_slurm.work_all()

    assert study.supervise(act) == ["done", "failed", "done", "done"]
    assert study.ledger.launch.jobs == {"100": study.keys, "101": study.keys[2:]}


def test_a_job_that_begins_nothing_is_not_submitted_for_ever(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm, runs_per_job=4)

    def act(_: Sequence[RunStatus]) -> None:
        for name in list(fake_slurm.jobs):
            fake_slurm.end(name, "FAILED|1:0")

    assert study.supervise(act) == ["failed"] * 4
    assert len(fake_slurm.submissions) == 1


def test_a_rejected_array_loses_nothing(root: Root, fake_slurm: FakeSlurm) -> None:
    """The arrays before it are submitted, and the same command submits the rest."""
    fake_slurm.longest = 3
    study = Study(root, fake_slurm)

    def submit(*given: Any) -> Sequence[str]:
        if fake_slurm.submissions:
            raise SpecError("Slurm rejected the jobs: limit")
        return fake_slurm.submit(*given)

    study.batch.submit = submit
    with pytest.raises(SpecError, match=r"limit; 3 of 4 runs were submitted, the same command submits the rest"):
        study.batch.fill(study.monitor.poll())
    study.ledger.leave()
    assert study.states() == ["queued"] * 3 + ["waiting"]
    assert Study(root, fake_slurm).submit().ledger.launch.jobs == {"101": study.keys[3:]}


def test_jobs_are_limited_over_all_arrays(root: Root, fake_slurm: FakeSlurm) -> None:
    fake_slurm.longest = 3
    Study(root, fake_slurm, jobs=2).submit()
    first, second = fake_slurm.submissions
    assert first["array_parallelism"] == second["array_parallelism"] == 2
    assert second["additional_parameters"]["dependency"] == "afterany:100"
    assert "dependency" not in first["additional_parameters"]


def test_the_parameters_of_a_job() -> None:
    found = parameters(
        Resources(
            gpus_per_run=4, nodes=2, threads=2, workers=6, memory="32G", minutes=90, partition="gpu", account="lab",
            qos="high", constraint="a100", slurm={"reservation": "mine", "exclusive": "", "job-name": "mixing"},
        )
    )  # fmt: skip
    more = found.pop("additional_parameters")
    assert more == {"requeue": True, "reservation": "mine", "exclusive": True, "mem": "32G"}
    expected = {
        "time": 90,
        "nodes": 2,
        "ntasks_per_node": 4,
        "gpus_per_node": 4,
        "cpus_per_task": 8,
        "job_name": "mixing",
    }
    assert expected.items() <= found.items()
    assert [found[name] for name in ("partition", "account", "qos", "constraint")] == ["gpu", "lab", "high", "a100"]
    assert found["srun_args"] == ["--kill-on-bad-exit=1", "--cpus-per-task=8"]


def test_the_default_is_one_gpu_and_the_defaults_of_the_partition() -> None:
    found = parameters(Resources())
    assert {name: found[name] for name in ("gpus_per_node", "time", "partition", "cpus_per_task")} == {
        "gpus_per_node": 1,
        "time": None,
        "partition": None,
        "cpus_per_task": 1,
    }
    assert parameters(Resources(device="cpu"))["gpus_per_node"] is None
    named = parameters(Resources(gpus_per_run=2, slurm={"gres": "gpu:a100:2"}))
    assert named["gpus_per_node"] is None, "gres requests them"
    assert (named["ntasks_per_node"], named["additional_parameters"]["gres"]) == (2, "gpu:a100:2")


def test_submitit_accepts_the_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes the script for sbatch."""
    import submitit

    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda _: 2))
    executor = submitit.SlurmExecutor(tmp_path)
    executor.update_parameters(**parameters(Resources(minutes=30, gpus_per_run=2, slurm={"nice": "5"})))
    text = executor._make_submission_file_text("work", "id")
    for line in ("--time=30", "--gpus-per-node=2", "--ntasks-per-node=2", "--nice=5", "--requeue", "--nodes=1"):
        assert f"#SBATCH {line}\n" in text
    executor.update_parameters(**parameters(Resources()))
    assert "--time" not in executor._make_submission_file_text("work", "id"), "the partition's default holds"


def test_a_missing_slurm_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError, match="--on slurm needs the Slurm commands on this machine"):
        by_submitit({}, tmp_path, [("root", [], {})])


def test_a_job_that_dies_in_its_first_run_leaves_the_others(root: Root, fake_slurm: FakeSlurm) -> None:
    study = Study(root, fake_slurm, runs_per_job=4)

    def act(_: Sequence[RunStatus]) -> None:
        if "100" in fake_slurm.jobs:
            hold(root, study.keys[0], "100")
            fake_slurm.end("100", "OUT_OF_MEMORY|0:125")
        fake_slurm.work_all()

    assert study.supervise(act) == ["failed", "done", "done", "done"]


@pytest.mark.parametrize(("jobs", "name"), [(1, "%j"), (2, "%A_%a")])
def test_a_percent_sign_in_the_root_is_no_pattern(jobs: int, name: str) -> None:
    found = with_output(parameters(Resources()), Path("/100% new"), jobs)
    assert found["additional_parameters"] == {"requeue": True, "output": f"/100%% new/{name}_0_log.out"}
    assert found["srun_args"][-1] == f"--output=/100%% new/{name}_%t_log.out"


@pytest.mark.parametrize("name", ["a%jb", "%t", "%A", "%a", "a\\b"])
def test_a_root_with_a_pattern_of_submitit_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"the root must not contain .* with --on slurm"):
        with_output({}, Path("/data") / name, 1)


def test_the_words_of_sbatch_reach_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in (
        ("srun", "exit 0"),
        ("sbatch", "echo 'sbatch: error: Batch job submission failed: Job violates policy' >&2; exit 1"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SpecError) as error:
        by_submitit(parameters(Resources()), tmp_path / "logs", [("root", [], {})])
    assert str(error.value) == "Slurm rejected the jobs: Batch job submission failed: Job violates policy"
    (tmp_path / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError, match=r"--on slurm needs the Slurm commands on this machine: .*sbatch"):
        by_submitit(parameters(Resources()), tmp_path / "logs", [("root", [], {})])


def test_jobs_do_not_inherit_an_allocation(
    root: Root,
    fake_slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.setenv("SLURM_CPU_BIND", "mask")
    seen: list[bool] = []

    def submit(*given: Any) -> Sequence[str]:
        seen.append("SLURM_CPU_BIND" in os.environ)
        return fake_slurm.submit(*given)

    study = Study(root, fake_slurm)
    study.batch.submit = submit
    study.submit()
    assert seen == [False]
    assert os.environ["SLURM_CPU_BIND"] == "mask"


def test_free_sbatch_options_differ_from_those_that_are_always_set() -> None:
    assert not {"requeue", "open-mode", "signal", "array", "output", "error"} & set(sbatch.OPTIONS)
