"""Files under `runs/` and in the cache that no study needs: found first, removed after confirmation.

Records are never removed, nor files of a run that is in progress, or that a study contains and has no record yet. A run
whose request is unreadable may be one of these, and so may every run while a launch is unreadable. Weights of a run
with a record that differs from a study's only in its budget, such as the epochs, are kept unless they are asked for.
Paths come from names on disk, never from the content of a file. A symbolic link is removed; its target is not.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ablate.dispatch import lease
from ablate.dispatch.ledger import Launch, Launches
from ablate.dispatch.notes import read_request
from ablate.dispatch.slurm import Job
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.spec.settings import cache_folder
from ablate.store import rows
from ablate.store.cache import Kind
from ablate.store.json_files import Unreadable
from ablate.store.root import Root
from ablate.store.rows import Rows
from ablate.study.study import Study

KINDS = {
    "checkpoints": "checkpoints of runs that have a record",
    "runs": "folders of runs that no study contains",
    "unfinished": "incomplete files",
    "launches": "output of launches that have ended, and of their workers",
    "architectures": "descriptions of models, made again when needed",
    "cache": "decoded images and descriptions of datasets, made again when needed",
}
KEY = re.compile(r"[0-9a-f]{10}")
TEMPORARY = re.compile(r"\.(.+\.[0-9a-f]{32}|.+\.new|clock-.+|writable-\d+)")
CACHED = re.compile(r"\.?[0-9a-f]{16}(\..+)?")
DETACHED = re.compile(r"(\d{8}-\d{6})-\d+\.log")  # the output of a detached launch, with the time it began
REACHED = re.compile(r"(\d+(?:_\d+)?)\.reached")  # what the last runs of a Slurm job had reached
BUDGET = frozenset({"epochs", "warmup_epochs", "train_fraction", "seed"})  # fields that say how long a run trains
SEEDS = 32  # of a run without a request, whose seed is not known
STARTING_S = 600.0  # a launch may take this long from its requests to its own file
QUIET_S = 3600.0  # an incomplete file of this age is not being written


@dataclass(frozen=True)
class Leftover:
    """A file or folder that no study needs, and its size in bytes."""

    kind: str
    path: Path
    size: int


def find(root: Root, studies: Sequence[Study], *, weights: bool = False) -> list[Leftover]:
    """Return all files and folders that no study needs.

    Args:
        studies: all studies; a run that none of them contains, with any seed, is not needed.
        weights: also those of runs that differ from a study's only in their budget.
    """
    variants = [variant.run for study in studies for scale in study.scales for variant in study.variants(scale)]
    seeds = range(max([SEEDS, *(study.seed_count(scale) for study in studies for scale in study.scales)]))
    needed = {key for run in variants for key in run.keys(seeds)}
    found_rows = rows.read(root.results)
    done = set(found_rows.paths) - set(found_rows.damage)
    folders = [path for path in sorted(root.runs.glob("*")) if KEY.fullmatch(path.name) and _is_folder_or_link(path)]
    held = [folder for folder in folders if _held(folder)]
    launches = Launches(root)
    launches.refresh()
    ended = _ended(launches.all(), held)
    assigned = {key for launch in launches.all() for key in _assigned(launch, ended, launches.jobs)}
    free = [f for f in folders if f.name not in assigned and f not in held and not _starting(f)]
    if launches.unreadable:
        free = []  # any of them may be a run of such a launch
    busy = len(free) < len(folders) or bool(launches.unreadable)
    requests = {folder: read_request(folder) for folder in free}
    unknown = {folder for folder, request in requests.items() if isinstance(request, Unreadable)}
    unused = {folder for folder in free if folder not in unknown and _variant(folder, requests[folder]) not in needed}
    if not weights:
        unused -= _shorter_or_longer([folder for folder in unused if folder.name in done], found_rows, variants)
    kept = [folder for folder in free if folder not in unused]
    missing = {folder.name for folder in folders if folder not in unused} - done
    found = {
        "checkpoints": [folder / "checkpoints" for folder in kept if folder.name in done],
        "runs": sorted(unused),
        "unfinished": [*_temporary(kept), *_temporary([root.results, root.runs / "cache"])],
        "launches": _output(root, launches, ended, missing, busy=busy),
        # A worker that has just started may be reading the cache.
        "architectures": [] if busy else sorted((root.runs / "cache").glob("*.json")),
        "cache": [] if busy else _cached(cache_folder()),
    }
    bases = (root.runs, root.results, cache_folder())
    paths = [(kind, path) for kind, some in found.items() for path in some if _removable(path, bases)]
    chosen = {path for _, path in paths}
    return [Leftover(kind, path, size_of(path)) for kind, path in paths if chosen.isdisjoint(path.parents)]


def _shorter_or_longer(folders: Sequence[Path], found: Rows, variants: Iterable[Run]) -> set[Path]:
    """Return the folders with weights of runs that differ from a variant in nothing but the budget."""
    names = [name for name in Run().to_dict() if name not in BUDGET]
    shapes = {tuple(run.to_dict()[name] for name in names) for run in variants}
    places = {key: at for at, key in enumerate(found.columns.get("key", ()))}
    return {
        folder
        for folder in folders
        if (folder / "weights.pt").is_file()
        and tuple(found.columns[name][places[folder.name]] for name in names) in shapes
    }


def _starting(folder: Path) -> bool:
    """Whether a run was requested a short time ago and has not begun, so that its launch may not have a file yet."""
    with suppress(OSError):
        requested = (folder / "run.json").stat().st_mtime
        newest = max((path.lstat().st_mtime for path in folder.iterdir() if path.name != "run.json"), default=0.0)
        return newest < requested and time.time() - requested < STARTING_S
    return False


def remove(leftovers: Iterable[Leftover]) -> None:
    """Remove files and folders, except those of runs that have started since they were found."""
    for one in leftovers:
        folder = {"runs": one.path, "checkpoints": one.path.parent}.get(one.kind)
        if folder is not None and _held(folder):
            continue
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path)
        else:
            one.path.unlink(missing_ok=True)


def _removable(path: Path, bases: Iterable[Path]) -> bool:
    """Whether a path exists in one of some folders, and no folder between them is a link."""
    real = path.parent.resolve()
    below = (base for base in bases if path.is_relative_to(base) and path != base)
    return os.path.lexists(path) and any(real == base.resolve() / path.parent.relative_to(base) for base in below)


def _is_folder_or_link(path: Path) -> bool:
    return path.is_dir() or path.is_symlink()


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(folder, name).lstat().st_size
    return total


def _held(folder: Path) -> bool:
    held = lease.current(folder)
    return held is not None and held.alive


def unreadable(root: Root) -> list[Unreadable]:
    """Return the launches and requests that cannot be read, so that `find` keeps what may belong to them."""
    launches = Launches(root)
    launches.refresh()
    folders = [path for path in sorted(root.runs.glob("*")) if KEY.fullmatch(path.name)]
    return launches.unreadable + [one for one in map(read_request, folders) if isinstance(one, Unreadable)]


def _variant(folder: Path, request: object) -> str:
    """Return the key, with seed 0, of a folder's run; the folder's name without a request of this version."""
    try:
        run = Run.from_dict(request["run"]) if isinstance(request, dict) else None
    except SpecError:
        run = None
    if run is None:
        return folder.name
    return run.replace(seed=0).key if run.key == folder.name else folder.name


def _temporary(folders: Iterable[Path]) -> Iterator[Path]:
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in (Path(folder, name) for name in sorted(names) if TEMPORARY.fullmatch(name)):
                with suppress(FileNotFoundError):
                    if time.time() - path.lstat().st_mtime > QUIET_S:
                        yield path


def _ended(launches: Sequence[Launch], held: Iterable[Path]) -> list[Launch]:
    """Return the launches without a supervisor, none of whose workers holds a run; none if an owner is not known."""
    owners = [current.owner for folder in held if (current := lease.current(folder))]
    if None in owners:
        return []
    working = {lease.launch_of(owner.worker) for owner in owners if owner}
    return [launch for launch in launches if not launch.supervised and launch.name not in working]


def _assigned(launch: Launch, ended: Sequence[Launch], jobs: Mapping[str, Job] | None) -> Iterator[str]:
    """Yield the runs of a launch that is not over, and those with a job in the queue; all if Slurm does not answer."""
    if launch not in ended:
        yield from launch.keys
    for job, keys in launch.jobs.items():
        if jobs is None or job in jobs:
            yield from keys


def _output(
    root: Root, launches: Launches, ended: Sequence[Launch], missing: set[str], *, busy: bool
) -> Iterator[Path]:
    """Yield the files of ended launches whose runs are done or not needed, and the folder of earlier versions."""
    over = [one for one in ended if not missing & set(one.keys)]
    yield from (path for one in over for path in (one.path, one.logs))
    if not launches.unreadable:
        kept = {job for one in launches.all() if one not in over for job in one.jobs}
        for path in sorted(launches.folder.glob("*")):
            log, reached = DETACHED.fullmatch(path.name), REACHED.fullmatch(path.name)
            if (reached and reached[1] not in kept) or (log and _is_over(path, log[1], launches, over)):
                yield path
    if not busy:
        yield from sorted((root.runs / "submitit").glob("*"))


def _is_over(log: Path, begun: str, launches: Launches, over: Sequence[Launch]) -> bool:
    """Whether a log of a detached launch is complete: its launch, the first since then, is over."""
    if any(launch.supervised for launch in launches.all()):
        return False
    first = min((launch for launch in launches.all() if launch.name >= begun), key=lambda one: one.name, default=None)
    return first in over if first else time.time() - log.stat().st_mtime > STARTING_S


def _cached(folder: Path) -> list[Path]:
    """Return our files in the cache folder, which may be shared with other programs."""
    kinds = sorted(get_args(Kind))
    return [path for kind in kinds for path in sorted((folder / kind).glob("*")) if CACHED.fullmatch(path.name)]
