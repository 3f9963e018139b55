"""A worker: take the lease of each free run in a list, train it, and write its record.

Every worker process calls `work`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ablate.dispatch.lease import Lease, current, launch_of
from ablate.dispatch.notes import LOG, Progress, failure_of, logged, note_failure, read_request
from ablate.spec.errors import SpecError
from ablate.spec.plugins import all_files_of, use
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.json_files import Unreadable
from ablate.store.root import Root, write_atomically
from ablate.train.distributed import World, join, skip_shutdown
from ablate.train.errors import DivergedError, TakenOverError, explain, steps_of
from ablate.train.execute import execute
from ablate.train.signals import act, noted


@dataclass(frozen=True)
class LeaseHolder:
    """The worker that trains a run, with its lease and its processes."""

    worker: str
    generation: int
    held: Callable[[], bool]
    world: World

    @property
    def log(self) -> str:
        """Name of the log file of this process."""
        return "log.txt" if self.world.main else f"log.{self.world.rank}.txt"


@contextmanager
def reporting(progress: Progress, resources: Resources) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Return a function that reports a run's state: as progress and, if requested, to TensorBoard.

    Raises:
        SpecError: when TensorBoard is requested and not installed.
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
    """Write a run where workers find it by its key, with the paths of the user's own files that it needs."""
    content = {"run": run.to_dict(), "resources": resources.to_dict(), "files": all_files_of(run)}
    write_atomically(root.run_folder(run.key) / "run.json", orjson.dumps(content), durable=False)


def requested(root: Root, key: str) -> tuple[Run, Resources]:
    """Return the requested run with a key, and its resources; the user's own files that it needs are registered.

    Raises:
        FileNotFoundError: when it is not requested.
        SpecError: when the request is unreadable, such a file is missing, or a behaviour number has changed, so that
            the run has another key now.
    """
    content = read_request(root.run_folder(key))
    if content is None:
        raise FileNotFoundError(errno.ENOENT, "run not requested", str(root.run_folder(key) / "run.json"))
    if isinstance(content, Unreadable):
        raise SpecError(f"{content}; launch the study again, which writes it again")
    for slot, path in content["files"].items():
        use(path, slot)
    run = Run.from_dict(content["run"])
    if run.key != key:
        raise SpecError(
            f"run {key} has the key {run.key} now: a BEHAVIOUR it depends on has changed; launch the study again"
        )
    return run, Resources.from_dict(content["resources"])


def work(path: str, keys: Sequence[str], worker: str) -> list[str]:
    """Train, one after the other, every listed run that is not done and that no other worker holds.

    If torchrun or srun started several processes, each of them calls this once, and they train every run together. The
    main process takes leases and writes; the keys of the others are ignored.

    Args:
        path: the root.
        keys: of runs that were requested there.
        worker: unique name of this worker.

    Returns:
        The keys of the runs that this worker finished, or that failed here.
    """
    root, world = Root(Path(path)), join()
    if not world.main:
        return _follow(root, world)
    taken = []
    for key in keys:
        act()
        if _take(root, key, worker, world):
            taken.append(key)
    act()
    world.from_main(None)
    return taken


def _follow(root: Root, world: World) -> list[str]:
    """Train the runs that the main process sends, until it sends None."""
    taken = []
    while (sent := world.from_main(None)) is not None:
        key, worker, generation = sent
        if _train(root, *requested(root, key), LeaseHolder(worker, generation, lambda: True, world)):
            taken.append(key)
    return taken


def _take(root: Root, key: str, worker: str, world: World) -> bool:
    folder = root.run_folder(key)
    try:
        run, resources = requested(root, key)
    except FileNotFoundError:
        return False  # cancelled before it started
    except SpecError as error:
        note_failure(folder, str(error).partition("\n")[0], worker, kind=SpecError.__name__)
        return True
    if _settled(root, run) or _held_by_this_launch(folder, worker):
        return False
    lease = Lease.acquire(folder, worker)
    if lease is None:
        return False
    try:
        # Before this worker got the lease, another one may have finished the run, or it was cancelled.
        if _settled(root, run) or not (folder / "run.json").exists():
            return False
        world.from_main((key, worker, lease.generation))
        return _train(root, run, resources, LeaseHolder(worker, lease.generation, lease.held, world))
    finally:
        lease.release()


def _settled(root: Root, run: Run) -> bool:
    """Whether a run has a record or a failure note."""
    return records.path_of(root.results, run).exists() or failure_of(root.run_folder(run.key)) is not None


def _held_by_this_launch(folder: Path, worker: str) -> bool:
    """Whether another worker of this launch holds the run, or died with it; the launcher handles its death."""
    held = current(folder)
    owner = held.owner if held else None
    if owner is None or owner.released or owner.worker == worker:
        return False  # a lease with its own name is from before this worker was restarted
    return launch_of(owner.worker) == launch_of(worker)


def _train(root: Root, run: Run, resources: Resources, holder: LeaseHolder) -> bool:
    """Train a run, write its record or a failure note, and return False if another worker has taken the run over.

    Raises:
        KeyboardInterrupt: when a signal requested a stop, also in the last moment of the run.
        SystemExit: when one of several processes failed. The others wait for it, so that its parent must see it end.
    """
    with noted():
        ended = _train_logged(root, run, resources, holder)
        act()
        return ended


def _train_logged(root: Root, run: Run, resources: Resources, holder: LeaseHolder) -> bool:
    folder = root.run_folder(run.key)
    with logged(folder / holder.log):
        LOG.info("run %s, %s: %s", run.key, holder.worker, run)
        with Progress(folder, run, writes=holder.world.main) as progress:
            return _outcome(root, run, resources, holder, progress)


def _outcome(root: Root, run: Run, resources: Resources, holder: LeaseHolder, progress: Progress) -> bool:
    try:
        top1 = _execute(root, run, resources, holder, progress)
    except TakenOverError as error:
        LOG.warning("%s; its record counts", error)
        return False
    except (Exception, SystemExit) as error:  # a library or a part of the user's own may exit
        LOG.exception("failed")
        sentence = explain(error, run, resources, progress.state, holder.world.size)
        _note(root.run_folder(run.key), sentence, type(error).__name__, holder, progress)
        if holder.world.size > 1 and not isinstance(error, DivergedError):
            skip_shutdown()
            raise SystemExit(1) from None
        return True
    LOG.info("done: test top-1 %.2f %% of %d", *top1)
    return True


def _execute(root: Root, run: Run, resources: Resources, holder: LeaseHolder, progress: Progress) -> tuple[float, int]:
    """Train a run, write its record, delete its checkpoints, and return its top-1 and number of test images."""
    from ablate.train.checkpoint import Checkpoints

    checkpoints = Checkpoints(root.run_folder(run.key), holder.generation, holder.held, holder.world)
    with reporting(progress, resources) as report:
        record = execute(run, resources, report, checkpoints, holder.world)
    checkpoints.check_held()
    if holder.world.main:
        records.write(root.results, record)
        if resources.keep != "all":
            checkpoints.clear()
    return record.metrics["top1"], record.metrics["n"]


def _note(folder: Path, sentence: str, kind: str, holder: LeaseHolder, progress: Progress) -> None:
    """Write a failure note, unless another worker has the run, or another of its processes has written one."""
    first = holder.world.size == 1 or failure_of(folder) is None
    if holder.held() and first:
        note_failure(folder, sentence, holder.worker, steps_of(progress.state), holder.log, kind)
