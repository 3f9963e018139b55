"""What a run in work leaves in its folder: its progress, its log, and a note when it failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from ablate.spec.run import Run
from ablate.store.root import write_atomically

LOG = logging.getLogger("ablate")
PROGRESS_EVERY_S = 1.0
LOG_TAIL = 15


class Progress:
    """What a run in training is doing, written to `progress.json` at most once a second.

    Args:
        writes: False only keeps the state, as all but the main process of a run do.
    """

    def __init__(self, folder: Path, run: Run, *, writes: bool = True) -> None:
        self.folder, self.path, self.epochs, self.writes = folder, folder / "progress.json", run.epochs, writes
        self.started = self.since = time.time()
        self.before, self.begun = 0.0, 0.0  # seconds of earlier parts, and the share of the run done in them
        self.written = 0.0
        self.state: dict[str, Any] = {}
        if writes:
            self.path.unlink(missing_ok=True)  # of an earlier try

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
        if done <= 0:  # just resumed: the earlier parts tell the pace
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
    """Leave a note that a run failed, with the last lines of its log.

    Args:
        step: after how many steps, where that is known.
        kind: the exception's name, where there was one.
    """
    log = folder / log_name
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL:] if log.exists() else []
    content = {"error": error, "kind": kind, "worker": worker, "step": step, "time": time.time(), "log": lines}
    write_atomically(folder / "failure.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))


def failure_of(folder: Path) -> dict[str, Any] | None:
    """The failure note of a run, None where there is none."""
    try:
        content: Any = orjson.loads((folder / "failure.json").read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or "error" not in content:
        return {"error": "it failed; the note that says why is damaged", "log": []}
    return content


@contextmanager
def logged(path: Path) -> Iterator[None]:
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
