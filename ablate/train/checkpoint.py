"""Checkpoints, from which a run resumes bit for bit, and the final weights; files are written atomically.

A checkpoint is `GENERATION-STEP.pt` in `runs/KEY/checkpoints/`: the generation of the writer's lease and the number of
steps. The two newest are kept. A file is a zip archive of tensors and plain data with a checksum per member. Reading it
runs no code; a damaged one is skipped in favour of the previous one.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.train.distributed import ALONE, World
from ablate.train.errors import TakenOverError

KEPT = 2
FOLDER = 0x10  # attribute of a folder in a zip file, whose content torch would not read
State = dict[str, Any]
Problem = Callable[[State, int], str]
LOG = logging.getLogger("ablate")


def no_problem(_: State, __: int) -> str:
    """Accept any content."""
    return ""


class DamagedError(RuntimeError):
    """A file cannot be read, or has changed since it was written."""


class Checkpoints:
    """The checkpoints of one run, for the worker that trains it.

    Args:
        folder: folder of the run.
        generation: generation of the worker's lease.
        held: returns whether this worker still has the lease.
        world: the processes that train the run; the main one writes.
    """

    def __init__(
        self, folder: Path, generation: int = 1, held: Callable[[], bool] = lambda: True, world: World = ALONE
    ) -> None:
        self.run_folder, self.folder = folder, folder / "checkpoints"
        self.generation, self.held, self.world = generation, held, world

    def save(self, step: int, state: State) -> None:
        """Write the checkpoint of a step.

        Raises:
            TakenOverError: when another worker has the lease; then nothing is written.
        """
        self.check_held()
        if self.world.main:
            save(self.folder, self.generation, step, state)

    def check_held(self) -> None:
        """Raise a `TakenOverError` on all processes when another worker has the lease."""
        if self.world.maximum([self.world.main and not self.held()])[0]:
            raise TakenOverError("another worker has taken over this run")

    def latest(self, run: Run, problem: Problem = no_problem) -> State | None:
        """Return the newest undamaged checkpoint, the same on all processes; None if there is none.

        Args:
            problem: returns what is wrong with the content of a checkpoint after some steps.

        Raises:
            SpecError: when it belongs to another run.
        """
        found = latest(self.folder, problem) if self.world.main else None
        path = self.world.from_main(str(found[0]) if found else None)
        if path is None:
            return None
        state = found[1] if found else read(Path(path))
        if state["key"] != run.key or Run.from_dict(state["run"]) != run:
            raise SpecError(f"the checkpoint {path} must be of run {run.key}, got {state['key']}; move it away")
        LOG.info("resuming from %s", Path(path).name)
        return state

    def write_weights(self, content: State) -> None:
        """Write the final weights to `weights.pt` in the folder of the run."""
        if self.world.main:
            write(self.run_folder / "weights.pt", content)

    def clear(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)


def save(folder: Path, generation: int, step: int, state: State) -> Path:
    """Write a checkpoint, then remove all but the two newest."""
    path = folder / f"{generation:04d}-{step:09d}.pt"
    write(path, state)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def latest(folder: Path, problem: Problem = no_problem) -> tuple[Path, State] | None:
    """Return path and content of the newest undamaged checkpoint; None if there is none. Log a warning for others."""
    for path in _newest_first(folder):
        try:
            state = read(path)
            if found := problem(state, int(path.stem.partition("-")[2])):
                raise DamagedError(f"{path} is damaged: {found}")
            return path, state
        except DamagedError as error:
            LOG.warning("%s; using the previous checkpoint", error)
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = {path: re.fullmatch(r"(\d+)-(\d+)\.pt", path.name) for path in folder.glob("*.pt")}
    steps = {path: (int(match[1]), int(match[2])) for path, match in found.items() if match}
    return sorted(steps, key=steps.__getitem__, reverse=True)


def write(path: Path, content: State) -> None:
    """Write tensors and plain data atomically: a file with this name is always complete.

    Raises:
        OSError: when the disk is full or fails; the incomplete file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        with _restore_os_error(new), open(new, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _fsync_folder(path.parent)


@contextmanager
def _restore_os_error(path: Path) -> Iterator[None]:
    """Raise the OSError behind an error of torch, with the path of the file, which torch omits."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def _fsync_folder(folder: Path) -> None:
    """Write a folder to disk, and with it the name of a new file."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read(path: Path) -> State:
    """Read a file of `write`, with tensors on the CPU.

    Raises:
        DamagedError: when the file cannot be read, or has changed since it was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise DamagedError(f"{path} is damaged: the checksum of {damaged} is wrong")
            if folders := [member.filename for member in archive.infolist() if member.external_attr & FOLDER]:
                raise DamagedError(f"{path} is damaged: {folders[0]} must be a file")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DamagedError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise DamagedError(f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{path} must contain a dict, as ablate writes it, got a {type(content).__name__}")
    return content


def weights(path: str | Path) -> State:
    """Read the final weights of a run: `run` (its fields), `channels`, `classes`, `model` and `ema` (or None).

    Raises:
        SpecError: when the file was not written by ablate.
    """
    try:
        content = read(Path(path))
    except DamagedError as error:
        raise SpecError(str(error)) from None
    if missing := [name for name in ("run", "channels", "classes", "model") if name not in content]:
        raise SpecError(f"{path} lacks {', '.join(missing)}; pass the weights.pt of a run")
    return content
