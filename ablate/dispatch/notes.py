"""Files in the folder of a run in progress: its request, its progress, its log, and a note when it failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from ablate.spec.run import Run
from ablate.store import json_files
from ablate.store.json_files import Unreadable
from ablate.store.root import write_atomically

LOG = logging.getLogger("ablate")
PROGRESS_EVERY_S = 1.0
LOG_TAIL = 15
REQUEST = {"run": dict, "resources": dict}
PROGRESS = {"epoch": int, "epochs": int, "elapsed_s": float, "eta_s": float}
MEASURED = {"step": int, "steps": int, "train_loss": float, "heldout_top1": float}  # null after the loss diverged
NOTE = {"error": str}
NOTE_DETAILS = {"kind": str, "worker": str, "step": int, "time": float, "log": list}


class Progress:
    """The progress of a run in training, written to `progress.json` at most once a second.

    Args:
        writes: False keeps the state without writing; only the main process of a run writes.
    """

    def __init__(self, folder: Path, run: Run, *, writes: bool = True) -> None:
        self.folder, self.path, self.epochs, self.writes = folder, folder / "progress.json", run.epochs, writes
        self.started = self.since = time.time()
        self.before, self.begun = 0.0, 0.0  # before the run was resumed: seconds, and share of the run
        self.written = 0.0
        self.state: dict[str, Any] = {}
        if writes:
            self.path.unlink(missing_ok=True)  # from an earlier attempt

    def __call__(self, state: dict[str, Any]) -> None:
        self.state |= state
        if "resumed_s" in state:
            self.before, self.begun, self.since = self.state.pop("resumed_s"), self._share(), time.time()
        elif state["step"] == 0:
            LOG.info("epoch %d of %d: %s", state["epoch"], self.epochs, _numbers(state))
        if self.writes and time.time() - self.written >= PROGRESS_EVERY_S:
            self.written = time.time()
            write_atomically(self.path, orjson.dumps(self.state | self._pace()))

    def _pace(self) -> dict[str, float]:
        now, share = time.time(), self._share()
        took, done = now - self.since, share - self.begun
        if done <= 0:  # just resumed: use the pace from before
            took, done = self.before, self.begun
        left = took * (1 - share) / max(done, 1e-9)
        return {"epochs": self.epochs, "elapsed_s": self.before + now - self.started, "eta_s": left}

    def _share(self) -> float:
        return float(self.state["epoch"] + self.state["step"] / self.state.get("steps", 1)) / self.epochs


def _numbers(state: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in state.items() if isinstance(value, float))


def note_failure(
    folder: Path, error: str, worker: str, step: int | None = None, log_name: str = "log.txt", kind: str = ""
) -> None:
    """Write a note that a run failed, with the last lines of its log.

    Args:
        step: number of steps before the failure, if known.
        kind: name of the exception, if there was one.
    """
    log = folder / log_name
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL:] if log.exists() else []
    content = {"error": error, "kind": kind, "worker": worker, "step": step, "time": time.time(), "log": lines}
    write_atomically(folder / "failure.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))


def failure_of(folder: Path) -> dict[str, Any] | None:
    """Return the failure note of a run; None if there is none that can be read, so that the run is trained again."""
    note = read_failure(folder)
    return None if isinstance(note, Unreadable) else note


def read_failure(folder: Path) -> dict[str, Any] | Unreadable | None:
    """Read the failure note of a run."""
    return json_files.read(folder / "failure.json", lambda content: json_files.checked(content, NOTE, NOTE_DETAILS))


def read_request(folder: Path) -> dict[str, Any] | Unreadable | None:
    """Read the request of a run: the fields of the run and its resources, and the user's own files that it needs."""
    return json_files.read(folder / "run.json", _request)


def _request(content: Any) -> dict[str, Any]:
    found = {"files": {}} | json_files.checked(content, REQUEST, {"files": dict})
    json_files.checked(found["files"], dict.fromkeys(found["files"], str))
    return found


def read_progress(folder: Path) -> dict[str, Any] | Unreadable | None:
    """Read the progress of a run."""
    return json_files.read(folder / "progress.json", _progress)


def _progress(content: Any) -> dict[str, Any]:
    known = json_files.checked(content, PROGRESS, MEASURED)
    return {name: value for name, value in content.items() if name in known or name not in MEASURED}


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Append this package's log lines, and warnings, to the log of a run."""
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
