"""Everything needed to go on bit-exactly, in files written atomically; and the weights that stay.

A checkpoint is `GENERATION-STEP.pt` in `runs/KEY/checkpoints/`: the generation of its writer's lease, and the steps
taken. The two newest stay. A file is a zip of tensors and plain data, with a checksum for each part; it is read without
running code, and one that is damaged is passed over for the one before.
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
State = dict[str, Any]
LOG = logging.getLogger("ablate")


class DamagedError(RuntimeError):
    """A file is not as it was written."""


class Checkpoints:
    """The checkpoints of one run, as a worker writes and reads them.

    Args:
        folder: of the run.
        generation: of the worker's lease.
        held: whether the lease is still this worker's.
        world: the processes that train the run; the main one writes.
    """

    def __init__(
        self, folder: Path, generation: int = 1, held: Callable[[], bool] = lambda: True, world: World = ALONE
    ) -> None:
        self.run_folder, self.folder = folder, folder / "checkpoints"
        self.generation, self.held, self.world = generation, held, world

    def save(self, step: int, state: State) -> None:
        """Write a checkpoint after so many steps.

        Raises:
            TakenOverError: when the lease is another's by now; nothing is written then.
        """
        self.check_held()
        if self.world.main:
            save(self.folder, self.generation, step, state)

    def check_held(self) -> None:
        """Raises TakenOverError, on all processes, when the lease is another's by now."""
        if self.world.most([self.world.main and not self.held()])[0]:
            raise TakenOverError("another worker took this run over")

    def latest(self, run: Run) -> State | None:
        """The newest sound checkpoint, the same on all processes; None where there is none.

        Raises:
            SpecError: when it is of another run.
        """
        found = latest(self.folder) if self.world.main else None
        path = self.world.from_main(str(found[0]) if found else None)
        if path is None:
            return None
        state = found[1] if found else read(Path(path))
        if state["key"] != run.key or Run.from_dict(state["run"]) != run:
            raise SpecError(f"the checkpoint {path} is of run {state['key']}, not of {run.key}; move it away")
        LOG.info("going on from %s", Path(path).name)
        return state

    def write_weights(self, content: State) -> None:
        """Write the final weights, `weights.pt` in the run's folder."""
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


def latest(folder: Path) -> tuple[Path, State] | None:
    """The newest sound checkpoint and its path, None where there is none; a damaged one leaves a warning in the log."""
    for path in _newest_first(folder):
        try:
            return path, read(path)
        except DamagedError as error:
            LOG.warning("%s; going on from what was written before it", error)
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = {path: re.fullmatch(r"(\d+)-(\d+)\.pt", path.name) for path in folder.glob("*.pt")}
    places = {path: (int(match[1]), int(match[2])) for path, match in found.items() if match}
    return sorted(places, key=places.__getitem__, reverse=True)


def write(path: Path, content: State) -> None:
    """Write tensors and plain data so that a file under this name is whole, whatever happens meanwhile.

    Raises:
        OSError: when the disk is full, or another fault of it; what was written is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        with _real_error(new), open(new, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _fsync_folder(path.parent)


@contextmanager
def _real_error(path: Path) -> Iterator[None]:
    """torch hides what went wrong with a file behind an error of its own, and none of them names the file."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def _fsync_folder(folder: Path) -> None:
    """A new name is on disk only when its folder is."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read(path: Path) -> State:
    """What `write` wrote, on the CPU.

    Raises:
        DamagedError: when the file cannot be read, or differs from what was written.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            if (damaged := parts.testzip()) is not None:
                raise DamagedError(f"{path} is damaged: a checksum differs, of {damaged}")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DamagedError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise DamagedError(f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{path} holds a {type(content).__name__}; wanted is what ablate writes")
    return content


def weights(path: str | Path) -> State:
    """The final weights of a run: `run` (its fields), `channels`, `classes`, `model` and `ema` (or None).

    Raises:
        SpecError: when the file is none of ablate's.
    """
    try:
        content = read(Path(path))
    except DamagedError as error:
        raise SpecError(str(error)) from None
    if missing := [name for name in ("run", "channels", "classes", "model") if name not in content]:
        raise SpecError(f"{path} lacks {', '.join(missing)}; wanted is the weights.pt that a run leaves")
    return content
