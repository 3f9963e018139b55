"""What a worker does: take what it can of a list of runs, have each trained, write its record.

`work` is the one function a worker process is sent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from ablate import records
from ablate.execution import execute
from ablate.extend import files_of, use
from ablate.lease import Lease, current
from ablate.notes import LOG, Progress, failure_of, logged, note_failure
from ablate.paths import Root, write_atomically
from ablate.registry import SpecError
from ablate.resources import Resources
from ablate.spec import Run


def request(root: Root, run: Run, resources: Resources) -> None:
    """Leave a run where a worker finds it by its key, with the paths of the user's own files it needs."""
    content = {"run": run.fields(), "resources": resources.fields(), "files": files_of(run)}
    write_atomically(root.run_folder(run.key) / "run.json", orjson.dumps(content))


def requested(root: Root, key: str) -> tuple[Run, Resources]:
    """The run and resources left under a key; the user's own files it needs are made known.

    Raises:
        SpecError: when such a file is gone, or a behaviour number has changed since: the key is another now.
    """
    content = orjson.loads((root.run_folder(key) / "run.json").read_bytes())
    for slot, path in content.get("files", {}).items():
        use(path, slot)
    run = Run.of(content["run"])
    if run.key != key:
        raise SpecError(f"run {key} is {run.key} by now: a BEHAVIOUR it depends on was changed; launch the study again")
    return run, Resources(**content["resources"])


def work(path: str, keys: Sequence[str], worker: str, gpu: str | None = None) -> list[str]:
    """Train, one after the other, every listed run that nobody has finished or is working on.

    Args:
        path: the root.
        keys: of runs left there by `request`.
        worker: a name for this worker, unique to it.
        gpu: the CUDA device it may use, by index or name, "" for none; None leaves what it sees as it is.

    Returns:
        The keys this worker finished or saw fail.
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before torch is imported, which reads it once
    root = Root(Path(path))
    return [key for key in keys if _take(root, key, worker)]


def _take(root: Root, key: str, worker: str) -> bool:
    folder = root.run_folder(key)
    try:
        run, resources = requested(root, key)
    except SpecError as error:
        note_failure(folder, str(error), worker)
        return True
    if _settled(root, run) or _left_by_a_mate(folder, worker):
        return False
    lease = Lease.acquire(folder, worker)
    if lease is None:
        return False
    try:
        # Between the look and the lease another worker may have finished it.
        return False if _settled(root, run) else _train(root, run, resources, lease)
    finally:
        lease.release()


def _settled(root: Root, run: Run) -> bool:
    """Whether a run needs no work: it has a record, or failed and nobody asked to try it again."""
    return records.path_of(root.results, run).exists() or failure_of(root.run_folder(run.key)) is not None


def _left_by_a_mate(folder: Path, worker: str) -> bool:
    """Whether a worker of the same launch holds this run, or died with it: that is for the launcher to note."""
    held = current(folder)
    owner = held.owner if held else None
    return owner is not None and not owner.released and _launch(owner.worker) == _launch(worker)


def _launch(worker: str) -> str:
    """The part of a worker's name that its mates share: all but the number at its end."""
    return worker.rpartition("-")[0] or worker


def _train(root: Root, run: Run, resources: Resources, lease: Lease) -> bool:
    folder = root.run_folder(run.key)
    with logged(folder / "log.txt"):
        LOG.info("run %s, %s: %s", run.key, lease.owner.worker, run)
        try:
            record = execute(run, resources, Progress(folder, run))
            if not lease.held():
                LOG.warning("another worker took this run over; its record counts")
                return False
            records.write(root.results, record)
        except Exception as error:
            LOG.exception("failed")
            if lease.held():
                note_failure(folder, f"{type(error).__name__}: {error}", lease.owner.worker)
            return True
        LOG.info("done: test top-1 %.2f %% of %d", record.metrics["top1"], record.metrics["n"])
        return True
