"""Several processes train one run like a single one, and none waits for a lost one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.data.images import Share
from ablate.data.open import open_images
from ablate.dispatch import worker
from ablate.dispatch.notes import failure_of
from ablate.dispatch.status import unfinished
from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.train import distributed
from ablate.train.distributed import ALONE, World, first_host, from_environment, ignored_ranks, is_main, join
from ablate.train.evaluate import evaluate
from ablate.train.execute import execute
from tests import processes
from tests.tiny import DISTINCT, TINY, VARIANTS
from tests.train.test_resume import stand_still

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
VARIABLES = [
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "SLURM_STEP_ID",
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_NTASKS",
    "SLURM_LOCALID",
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",
    "SLURM_JOB_NODELIST",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_PTY_PORT",
    "TORCHELASTIC_RUN_ID",
    "ABLATE_RANKS",
]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No launcher's variables around."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ("", ALONE),
        ("RANK=0 WORLD_SIZE=1 LOCAL_RANK=0", ALONE),
        ("RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 ABLATE_RANKS=PARENT", World(5, 8, 1)),
        ("RANK=5 WORLD_SIZE=8 LOCAL_RANK=1", ALONE),  # left by a pod
        ("RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 ABLATE_RANKS=1 TORCHELASTIC_RUN_ID=none", ALONE),  # left by torchrun
        ("RANK=first WORLD_SIZE=second", ALONE),
        ("SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=9 SLURM_LOCALID=1", World(3, 4, 1)),
        ("SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_NTASKS=4 SLURM_LOCALID=1", World(3, 4, 1)),
        ("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1", ALONE),
        ("SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_LOCALID=0", ALONE),  # a batch script, no step of four tasks
        ("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_PTY_PORT=4711", ALONE),  # srun --pty bash
        ("SLURM_STEP_ID=4294967290 SLURM_PROCID=0 SLURM_NTASKS=4", ALONE),  # the shell of salloc
        (
            "RANK=1 WORLD_SIZE=2 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=1 ABLATE_RANKS=PARENT",
            World(1, 2),
        ),
    ],
)
def test_a_process_reads_its_rank(environment: str, expected: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in environment.replace("PARENT", str(os.getppid())).split():
        monkeypatch.setenv(*setting.split("="))
    assert from_environment() == expected
    assert is_main() == (expected.rank == 0)


def test_a_rank_that_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_RANKS", str(os.getppid()))
    monkeypatch.setenv("RANK", "first")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        SpecError, match="RANK in the environment must be a whole number, as torchrun and srun set it, got 'first'"
    ):
        from_environment()


def test_reading_the_rank_does_not_import_torch() -> None:
    code = "import sys; from ablate.train.distributed import is_main; is_main(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu7", "gpu7"),
        ("gpu7,gpu9", "gpu7"),
        ("node[07-09,12],gpu1", "node07"),
        ("node[3]", "node3"),
        ("rack1-node[01-04]-ib", "rack1-node01-ib"),
        ("a.b.c,d", "a.b.c"),
        ("rack[1-2]n[03-04]", "rack1n03"),
        ("r[10-12,20]c[0,2]-n[008-009]x,gpu1", "r10c0-n008x"),
    ],
)
def test_the_first_host_of_slurms_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


@pytest.mark.parametrize("nodes", ["", ",a", "node[1-", "node]1", "node[]", "node[1]]"])
def test_a_list_of_hosts_in_another_format_is_refused(nodes: str) -> None:
    with pytest.raises(SpecError, match="the node list must have the format of Slurm"):
        first_host(nodes)


def test_the_meeting_place_of_a_slurm_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[07-08]")
    ports = set()
    for job, step in (("77001", "0"), ("77002", "0"), ("77001", "1")):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        monkeypatch.setenv("SLURM_STEP_ID", step)
        monkeypatch.delenv("MASTER_PORT", raising=False)
        monkeypatch.delenv("MASTER_ADDR", raising=False)
        distributed._set_address()
        assert os.environ["MASTER_ADDR"] == "node07"
        ports.add(int(os.environ["MASTER_PORT"]))
    assert len(ports) == 3, "two jobs and two steps on one machine do not meet"
    assert all(20_000 <= port < 32_768 for port in ports)


def test_a_missing_address_is_reported() -> None:
    with pytest.raises(SpecError, match="MASTER_ADDR is not set; start the processes with torchrun or srun, or set it"):
        distributed._set_address()


def test_the_device_is_as_requested() -> None:
    assert str(ALONE.device("cpu")) == "cpu"
    assert str(ALONE.device("auto")) in ("cpu", "cuda")


# Everything whose result two processes must not change. Dropout is drawn by each process for itself.
SHARED: dict[str, tuple[Run, Resources]] = {
    "plain": (TINY, Resources()),
    "all of a recipe": (
        TINY.replace(
            mixup=0.8, cutmix=1.0, smoothing=0.1, repeats=3, train_fraction=0.3, clip_grad=0.5, ema=0.9, epochs=3
        ),
        Resources(micro_batch=64, checkpoint_minutes=0),
    ),
    "bf16": (TINY.replace(precision="bf16"), Resources()),
    "fp16": (TINY.replace(precision="fp16", clip_grad=1.0), Resources()),
    **{name: (VARIANTS[name].replace(epochs=1), Resources()) for name in DISTINCT},
}

# Largest relative difference of a loss. Two processes add up the gradients of halves of a batch, which rounds otherwise
# than adding them up at once: by 6e-8 in fp32, and by 4e-3 and 5e-4 for one activation in bf16 and fp16, of which a
# mean over hundreds of images keeps little. Within two or three epochs that has become 1e-7 and 3e-6, on three
# instruction sets; allowed is more than a hundred times as much.
TOLERANCES = {"fp32": 1e-5, "bf16": 1e-3, "fp16": 1e-3}


def at_work(root: Path, keys: list[str], gate: Path | None = None) -> None:
    """Train as one of several processes; with a gate, stand still in the third step until that file is there."""
    if gate:
        stand_still(3, gate)
    worker.work(str(root), keys, "worker")


def ask(root: Root, run: Run, resources: Resources) -> str:
    worker.request(root, run, resources)
    return run.key


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """The record of each, trained by two processes, which train one after the other."""
    root = Root(tmp_path_factory.mktemp("by_two"))
    keys = [ask(root, *requested) for requested in SHARED.values()]
    ranks = processes.start_ranks(at_work, root.path, keys)
    assert processes.end(*ranks) == [0, 0]
    return {name: records.read(records.path_of(root.results, run)) for name, (run, _) in SHARED.items()}


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_train_as_one(name: str, by_two: dict[str, Record]) -> None:
    """Compare losses: accuracy changes by a whole image when one is close to a class boundary."""
    alone = execute(*SHARED[name])
    tolerance = TOLERANCES[SHARED[name][0].precision]
    for one, two in zip([*alone.history, alone.metrics], [*by_two[name].history, by_two[name].metrics], strict=True):
        assert set(two) == set(one)
        assert [two.get(fact) for fact in ("epoch", "lr", "n")] == [one.get(fact) for fact in ("epoch", "lr", "n")]
        losses = {part: loss for part, loss in one.items() if part.endswith("loss")}
        assert losses
        assert {part: two[part] for part in losses} == pytest.approx(losses, rel=tolerance)
    assert alone.metrics["n"] == 360
    assert by_two[name].provenance["processes"] == 2
    assert by_two[name].key == alone.key


def gather_rows(folder: Path) -> None:
    """Each process has another number of rows, one has none."""
    world = distributed.join()
    rows = torch.arange(6.0).view(3, 2)[: 3 * world.rank]
    torch.save([world.gather(rows), world.maximum([world.rank, -world.rank]), world.all(world.rank)], folder / "found")


def test_what_they_tell_each_other(tmp_path: Path) -> None:
    assert processes.end(*processes.start_ranks(gather_rows, tmp_path)) == [0, 0]
    rows, most, every = torch.load(tmp_path / "found")
    assert torch.equal(rows, torch.arange(6.0).view(3, 2))
    assert most == [1, 0]
    assert every == [0, 1]


def evaluate_one_image(folder: Path) -> None:
    world = distributed.join()
    images = open_images(TINY, Resources(), torch.device("cpu"))[0]
    images.parts["test"] = images.parts["test"][:1]
    mine = images.evaluation("test", Share(world.rank, world.size))
    found = evaluate(build(TINY, 1, 10), mine, 1, world=world)
    (folder / f"rank{world.rank}").write_text(json.dumps(found.metrics()))


def test_more_processes_than_images_evaluate_each_once(tmp_path: Path) -> None:
    """One of the two has no image, and still takes part."""
    assert processes.end(*processes.start_ranks(evaluate_one_image, tmp_path)) == [0, 0]
    alone, *others = (json.loads(path.read_text()) for path in sorted(tmp_path.iterdir()))
    assert others == [alone]
    assert alone["n"] == 1
    assert alone["top1"] in (0.0, 100.0)


LONG = TINY.replace(batch_size=64, ema=0.9, drop=0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    root = Root(tmp_path_factory.mktemp("undisturbed"))
    ranks = processes.start_ranks(at_work, root.path, [ask(root, LONG, Resources())])
    assert processes.end(*ranks) == [0, 0]
    return records.read(records.path_of(root.results, LONG))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_stops_both_and_they_resume_bit_for_bit(rank: int, root: Root, undisturbed: Record) -> None:
    key = ask(root, LONG, Resources())
    folder = root.run_folder(key)
    gate = root.path / "go on"
    ranks = processes.start_ranks(at_work, root.path, [key], gate)
    processes.wait_for((folder / "progress.json").exists, "progress")
    os.kill(ranks[rank].pid, signal.SIGTERM)
    gate.touch()
    assert 0 not in processes.end(*ranks)
    assert len(list(folder.glob("checkpoints/*"))) == 1
    assert unfinished(folder, LONG).state == "waiting"
    assert processes.end(*processes.start_ranks(at_work, root.path, [key])) == [0, 0]
    record = records.read(records.path_of(root.results, LONG))
    assert (record.metrics, record.history) == (undisturbed.metrics, undisturbed.history)


def test_a_killed_process_takes_the_other_along(root: Root) -> None:
    key = ask(root, LONG, Resources())
    folder = root.run_folder(key)
    gate = root.path / "go on"
    ranks = processes.start_ranks(at_work, root.path, [key], gate)
    processes.wait_for((folder / "progress.json").exists, "progress")
    ranks[1].kill()
    gate.touch()
    assert processes.end(*ranks) == [1, -signal.SIGKILL]
    note = failure_of(folder) or {}
    assert "another of the 2 processes of this run was lost, after" in note["error"]
    assert unfinished(folder, LONG).state == "failed"


def failing(root: Path, keys: list[str], rank: int) -> None:
    """Work in which one process fails in its third step."""
    if os.environ["RANK"] == str(rank):
        steps = iter(range(100))

        def report(self: Any, state: dict[str, Any]) -> None:
            self.state |= state
            if next(steps) == 2:
                raise MemoryError

        worker.Progress.__call__ = report  # type: ignore[method-assign]
    worker.work(str(root), keys, "worker")


@pytest.mark.parametrize("rank", [0, 1])
def test_the_process_that_fails_says_why(rank: int, root: Root) -> None:
    key = ask(root, LONG, Resources())
    ranks = processes.start_ranks(failing, root.path, [key], rank)
    assert processes.end(*ranks) == [1, 1]
    note = failure_of(root.run_folder(key)) or {}
    assert note["error"].startswith("the machine is out of memory, with 32 images in one forward pass, after 3 steps")
    assert note["step"] == 3
    assert not records.path_of(root.results, LONG).exists()


def test_both_diverge_and_train_the_next(root: Root) -> None:
    wild = TINY.replace(lr=1e18, min_lr=1e18, opt="sgd")
    keys = [ask(root, run, Resources()) for run in (wild, TINY.replace(epochs=1))]
    assert processes.end(*processes.start_ranks(at_work, root.path, keys)) == [0, 0]
    assert (failure_of(root.run_folder(keys[0])) or {})["error"].startswith("the training loss of epoch 1 is")
    assert set(records.index(root.results)) == {keys[1]}


STUDY = '''"""Two tiny runs."""

from ablate import DIGITS, Study

study = Study(question="?", axes={"mixer": ["attention", "none"]}, fixed=dict(%s), scales={"digits": DIGITS})
'''


def command_line(words: list[str]) -> None:
    from ablate.cli import main

    sys.argv = ["ablate", *words]
    main()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system has no list of sockets")
def test_processes_of_one_machine_listen_on_no_other_interface(tmp_path: Path) -> None:
    assert processes.end(*processes.start_ranks(list_listeners, tmp_path)) == [0, 0]
    found = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(2)]
    assert found[0], "the store listens"
    assert all(address.startswith("0100007F:") for one in found for address in one), found


def list_listeners(folder: Path) -> None:
    """Write the local addresses, in hexadecimal, on which this process listens."""
    world = join()
    world.maximum([world.rank])
    own = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            own.add(os.readlink(path))
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in own]
    (folder / str(world.rank)).write_text(json.dumps(listening))
    world.maximum([0])


def test_what_a_launcher_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ignored_ranks() == ""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert ignored_ranks() == (
        "RANK and WORLD_SIZE=4 in the environment are ignored: torchrun did not start this process"
    )


def test_torchrun_starts_them_and_one_speaks(tmp_path: Path) -> None:
    """And where nothing is missing, they end at once."""
    small = {name: getattr(TINY, name) for name in ("image_size", "patch_size", "dim", "depth", "heads", "pool")}
    (tmp_path / "small.py").write_text(
        STUDY % ", ".join(f"{k}={v!r}" for k, v in (small | {"epochs": 1, "warmup_epochs": 0}).items())
    )
    run = ["run", str(tmp_path / "small.py"), "--on", "inline", "--seeds", "1", "--root", str(tmp_path)]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "ablate", *run]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("report: ") == 1
    assert processes.end(*processes.start_ranks(command_line, run)) == [0, 0]
    found = records.read_all(tmp_path / "results")
    assert [record.provenance["processes"] for record in found] == [2, 2]
