"""Files in the folder of a run in progress: its request, its progress, its log, and a note when it failed."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from ablate.spec.run import Run
from ablate.store import json_files
from ablate.store.json_files import Unreadable
from ablate.store.root import write_atomically

LOG = logging.getLogger("ablate")
PROGRESS_EVERY_S = 1.0
END_S = 2.0  # for the last state to be written
LOG_TAIL = 15
REQUEST = {"run": dict, "resources": dict}
PROGRESS = {"epoch": int, "epochs": int, "elapsed_s": float}
# A loss is null after it diverged, the remaining time before the second step.
MEASURED = {"step": int, "steps": int, "train_loss": float, "heldout_top1": float, "eta_s": float}
NOTE = {"error": str}
NOTE_DETAILS = {"kind": str, "worker": str, "step": int, "time": float, "log": list}


class Progress:
    """The progress of a run in training, written to `progress.json` at most once a second, by a thread.

    It only informs: a failure to write it is told once and ends nothing, and a file system that does not answer does
    not delay the training. As a context manager, it writes the last state at the end.

    Args:
        writes: False keeps the state without writing; only the main process of a run writes.
    """

    def __init__(self, folder: Path, run: Run, *, writes: bool = True) -> None:
        self.folder, self.path, self.epochs, self.writes = folder, folder / "progress.json", run.epochs, writes
        self.started = time.monotonic()
        self.before, self.begun = 0.0, 0.0  # before the run was resumed: seconds, and share of the run
        self.first: tuple[float, float] | None = None  # time and share of the run at the first step here
        self.state: dict[str, Any] = {}
        self.news: dict[str, Any] = {}
        self._told = False
        self._fresh, self._end = threading.Event(), threading.Event()
        self._writer = threading.Thread(target=self._write_regularly, daemon=True)

    def __enter__(self) -> Progress:
        if self.writes:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)  # from an earlier attempt
            self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.writes:
            self._end.set()
            self._fresh.set()
            self._writer.join(END_S)

    def __call__(self, state: dict[str, Any]) -> None:
        self.state |= state
        if "resumed_s" in state:
            self.before, self.begun = self.state.pop("resumed_s"), self._share()
        else:
            self.first = self.first or (time.monotonic(), self._share())
            if state["step"] == 0:
                LOG.info("epoch %d of %d: %s", state["epoch"], self.epochs, _numbers(state))
        self.news = self.state | self._pace()
        self._fresh.set()

    def _write_regularly(self) -> None:
        ended = False
        while not ended:
            self._fresh.wait()
            self._fresh.clear()
            self._write()
            ended = self._end.wait(PROGRESS_EVERY_S)
        self._write()

    def _write(self) -> None:
        news, self.news = self.news, {}
        if not news:
            return
        try:
            write_atomically(self.path, orjson.dumps(news), durable=False)
        except OSError as error:
            if not self._told:
                LOG.warning("cannot write %s: %s; training continues", self.path, error.strerror)
            self._told = True

    def _pace(self) -> dict[str, Any]:
        """Return elapsed and remaining seconds; opening the data and the first step are not part of the pace."""
        now, share = time.monotonic(), self._share()
        since, begun = self.first or (now, share)
        took, done = now - since, share - begun
        if done <= 0:  # use the pace from before the run was resumed
            took, done = self.before, self.begun
        left = took * (1 - share) / done if done > 0 else None
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


class _RunLog(logging.FileHandler):
    """The log of a run: what cannot be written is left out, and reported once on the standard error."""

    told = False

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - a name of logging
        if not self.told:
            with suppress(OSError):
                print(f"cannot write {self.baseFilename}: {sys.exc_info()[1]}", file=sys.stderr)
        self.told = True

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Append this package's log lines, and warnings, to the log of a run."""
    handler = _RunLog(path, encoding="utf-8")
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
