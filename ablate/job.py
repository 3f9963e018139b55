"""What a worker does: take what it can of a list of runs, train each, write its record.

`execute` turns a run into a record and touches no disk; `work` is the one function a worker process is sent.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from ablate import records
from ablate.extend import files_of, fingerprints, use
from ablate.lease import Lease, current
from ablate.paths import Root, write_atomically
from ablate.records import Record
from ablate.registry import SpecError
from ablate.resources import Resources
from ablate.spec import Run

LOG = logging.getLogger("ablate")
PROGRESS_EVERY_S = 1.0
LOG_TAIL = 15


def _silent(state: dict[str, Any]) -> None:
    """Report nothing."""


def execute(run: Run, resources: Resources, report: Callable[[dict[str, Any]], None] = _silent) -> Record:
    """Train and evaluate one run in this process.

    Args:
        report: called with a dict of what is known so far, after every step and epoch.
    """
    # Imported here, so that a launcher that only names `work` does not wait for torch.
    import torch

    from ablate.complexity import complexity
    from ablate.loading import open_images
    from ablate.memory import peak
    from ablate.provenance import where_and_what
    from ablate.train import fit

    own = fingerprints(run)
    torch.set_num_threads(resources.threads)
    device = _device(resources)
    with peak(device) as memory:
        images, facts = open_images(run, resources, device)
        fitted = fit(run, images, device, report)
    return Record(
        key=run.key,
        run=run.fields(),
        metrics=fitted.metrics,
        history=fitted.history,
        complexity=complexity(run, images.channels, len(images.classes)),
        dataset=facts,
        cost=fitted.cost | memory,
        provenance=where_and_what(resources, device) | ({"files": own} if own else {}),
    )


def _device(resources: Resources) -> Any:
    import torch

    if resources.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(resources.device)


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
    with _logged(folder / "log.txt"):
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


class Progress:
    """What a run in training is doing, written to `progress.json` at most once a second."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.path, self.epochs = folder / "progress.json", run.epochs
        self.started = time.time()
        self.written = 0.0
        self.state: dict[str, Any] = {}
        self.path.unlink(missing_ok=True)  # of an earlier try

    def __call__(self, state: dict[str, Any]) -> None:
        self.state |= state
        if state["step"] == 0:
            LOG.info("epoch %d of %d: %s", state["epoch"], self.epochs, _numbers(state))
        if time.time() - self.written >= PROGRESS_EVERY_S:
            self.written = time.time()
            write_atomically(self.path, orjson.dumps(self.state | self._pace()))

    def _pace(self) -> dict[str, float]:
        share = (self.state["epoch"] + self.state["step"] / self.state.get("steps", 1)) / self.epochs
        elapsed = time.time() - self.started
        return {"epochs": self.epochs, "elapsed_s": elapsed, "eta_s": elapsed * (1 - share) / max(share, 1e-9)}


def _numbers(state: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in state.items() if isinstance(value, float))


def note_failure(folder: Path, error: str, worker: str) -> None:
    """Leave a note that a run failed, with the last lines of its log."""
    log = folder / "log.txt"
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL:] if log.exists() else []
    content = {"error": error, "worker": worker, "time": time.time(), "log": lines}
    write_atomically(folder / "failure.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))


def failure_of(folder: Path) -> dict[str, Any] | None:
    """The failure note of a run, None where there is none."""
    try:
        content: dict[str, Any] = orjson.loads((folder / "failure.json").read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        return {"error": "it failed; the note that says why is damaged", "log": []}
    return content


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send this package's log lines, and warnings, to a run's own log, after what earlier tries left there."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [LOG, logging.getLogger("py.warnings")]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        logging.captureWarnings(False)
        handler.close()
