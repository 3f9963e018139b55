"""What a worker does: take what it can of a list of runs, have each trained, write its record.

`work` is the one function a worker process is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ablate.dispatch.lease import Lease, current, launch_of
from ablate.dispatch.notes import LOG, Progress, failure_of, logged, note_failure
from ablate.spec.errors import SpecError
from ablate.spec.plugins import files_of, use
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root, write_atomically
from ablate.train.distributed import World, join, skip_shutdown
from ablate.train.errors import DivergedError, TakenOverError, explain, steps_of
from ablate.train.execute import execute


@dataclass(frozen=True)
class LeaseHolder:
    """On whose behalf a run is trained: a worker with its lease, and the processes it is made of."""

    worker: str
    generation: int
    held: Callable[[], bool]
    world: World

    @property
    def log(self) -> str:
        """The file that this process's log lines go to."""
        return "log.txt" if self.world.main else f"log.{self.world.rank}.txt"


@contextmanager
def reporting(progress: Progress, resources: Resources) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What to call with a run's state: its progress, and TensorBoard's curves where they are asked for.

    Raises:
        SpecError: where they are, and TensorBoard is not installed.
    """
    if not (resources.tensorboard and progress.writes):
        yield progress
        return
    from ablate.train.tensorboard import Board

    board = Board(progress.folder)

    def both(state: dict[str, Any]) -> None:
        board(state)
        progress(state)

    try:
        yield both
    finally:
        board.close()


def request(root: Root, run: Run, resources: Resources) -> None:
    """Leave a run where a worker finds it by its key, with the paths of the user's own files it needs."""
    content = {"run": run.to_dict(), "resources": resources.to_dict(), "files": files_of(run)}
    write_atomically(root.run_folder(run.key) / "run.json", orjson.dumps(content), durable=False)


def requested(root: Root, key: str) -> tuple[Run, Resources]:
    """The run and resources left under a key; the user's own files it needs are made known.

    Raises:
        SpecError: when such a file is gone, or a behaviour number has changed since: the key is another now.
    """
    content = orjson.loads((root.run_folder(key) / "run.json").read_bytes())
    for slot, path in content.get("files", {}).items():
        use(path, slot)
    run = Run.from_dict(content["run"])
    if run.key != key:
        raise SpecError(f"run {key} is {run.key} by now: a BEHAVIOUR it depends on was changed; launch the study again")
    return run, Resources.from_dict(content["resources"])


def work(path: str, keys: Sequence[str], worker: str) -> list[str]:
    """Train, one after the other, every listed run that nobody has finished or is working on.

    Where torchrun or srun started several processes, each calls this once: they train every run together. The main one
    takes leases and writes; the others' keys are not looked at.

    Args:
        path: the root.
        keys: of runs left there by `request`.
        worker: a name for this worker, unique to it.

    Returns:
        The keys this worker finished or saw fail.
    """
    root, world = Root(Path(path)), join()
    if not world.main:
        return _follow(root, world)
    taken = [key for key in keys if _take(root, key, worker, world)]
    world.from_main(None)
    return taken


def _follow(root: Root, world: World) -> list[str]:
    """Train what the main process says, until it says None."""
    taken = []
    while (told := world.from_main(None)) is not None:
        key, worker, generation = told
        if _train(root, *requested(root, key), LeaseHolder(worker, generation, lambda: True, world)):
            taken.append(key)
    return taken


def _take(root: Root, key: str, worker: str, world: World) -> bool:
    folder = root.run_folder(key)
    try:
        run, resources = requested(root, key)
    except FileNotFoundError:
        return False  # cancelled before it began
    except SpecError as error:
        note_failure(folder, str(error), worker, kind=SpecError.__name__)
        return True
    if _settled(root, run) or _left_by_a_mate(folder, worker):
        return False
    lease = Lease.acquire(folder, worker)
    if lease is None:
        return False
    try:
        # Between the look and the lease another worker may have finished it, or somebody called it off.
        if _settled(root, run) or not (folder / "run.json").exists():
            return False
        world.from_main((key, worker, lease.generation))
        return _train(root, run, resources, LeaseHolder(worker, lease.generation, lease.held, world))
    finally:
        lease.release()


def _settled(root: Root, run: Run) -> bool:
    """Whether a run needs no work: it has a record, or failed and nobody asked to try it again."""
    return records.path_of(root.results, run).exists() or failure_of(root.run_folder(run.key)) is not None


def _left_by_a_mate(folder: Path, worker: str) -> bool:
    """Whether a worker of the same launch holds this run, or died with it: that is for the launcher to note."""
    held = current(folder)
    owner = held.owner if held else None
    if owner is None or owner.released or owner.worker == worker:
        return False  # of its own name is the worker itself, started again
    return launch_of(owner.worker) == launch_of(worker)


def _train(root: Root, run: Run, resources: Resources, hold: LeaseHolder) -> bool:
    """Train a run and leave its record, or a note; whether it came to an end of its own.

    Raises:
        SystemExit: when one of several processes failed: the others wait for it, and whoever started them all must see
            it end.
    """
    folder = root.run_folder(run.key)
    with logged(folder / hold.log):
        LOG.info("run %s, %s: %s", run.key, hold.worker, run)
        progress = Progress(folder, run, writes=hold.world.main)
        try:
            top1 = _execute(root, run, resources, hold, progress)
        except TakenOverError as error:
            LOG.warning("%s; its record counts", error)
            return False
        except Exception as error:
            LOG.exception("failed")
            sentence = explain(error, run, resources, progress.state, hold.world.size)
            _note(folder, sentence, type(error).__name__, hold, progress)
            if hold.world.size > 1 and not isinstance(error, DivergedError):
                skip_shutdown()
                raise SystemExit(1) from None
            return True
        LOG.info("done: test top-1 %.2f %% of %d", *top1)
        return True


def _execute(root: Root, run: Run, resources: Resources, hold: LeaseHolder, progress: Progress) -> tuple[float, int]:
    """Train a run, write its record, and clear away what is not to be kept; its top-1 and number of test pictures."""
    from ablate.train.checkpoint import Checkpoints

    checkpoints = Checkpoints(root.run_folder(run.key), hold.generation, hold.held, hold.world)
    with reporting(progress, resources) as report:
        record = execute(run, resources, report, checkpoints, hold.world)
    checkpoints.check_held()
    if hold.world.main:
        records.write(root.results, record)
        if resources.keep != "all":
            checkpoints.clear()
    return record.metrics["top1"], record.metrics["n"]


def _note(folder: Path, sentence: str, kind: str, hold: LeaseHolder, progress: Progress) -> None:
    """Leave a failure note, unless the run is another's by now, or another process of it has said what failed."""
    first = hold.world.size == 1 or failure_of(folder) is None
    if hold.held() and first:
        note_failure(folder, sentence, hold.worker, steps_of(progress.state), hold.log, kind)
