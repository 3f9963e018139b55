"""What lies under `runs/` and in the cache that no study needs: found first, removed when somebody has agreed.

Records are never touched, nor anything of a run that somebody works on, or that a study asks for and has no record yet.
Where a path leads is told by names on disk, never by what a file holds. A symbolic link is removed as a link; what lies
behind one stays.
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

import orjson

from ablate.dispatch import lease
from ablate.dispatch.ledger import Launch, Launches
from ablate.dispatch.slurm import Job
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.spec.settings import cache_folder
from ablate.store import records
from ablate.store.cache import Kind
from ablate.store.root import Root
from ablate.study.study import Study

KINDS = {
    "checkpoints": "checkpoints of runs that have their record",
    "runs": "folders of runs that no study asks for",
    "unfinished": "files left half-written",
    "launches": "workers' output of launches that are over",
    "architectures": "outlines of models, made again when needed",
    "cache": "decoded pictures and facts of data sets, made again when needed",
}
KEY = re.compile(r"[0-9a-f]{10}")
TEMPORARY = re.compile(r"\.(.+\.[0-9a-f]{32}|.+\.new|clock-.+|writable-\d+)")
CACHED = re.compile(r"\.?[0-9a-f]{16}(\..+)?")
QUIET_S = 3600.0  # a half-written file nobody has touched for so long is nobody's


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go, and the bytes it takes."""

    kind: str
    path: Path
    size: int


def find(root: Root, studies: Sequence[Study]) -> list[Leftover]:
    """Everything that no study needs, by kind.

    Args:
        studies: all there are: a run that none of them asks for, with whatever seed, is not needed.
    """
    wanted = {variant.run.key for study in studies for scale in study.scales for variant in study.variants(scale)}
    done = set(records.index(root.results))
    folders = [path for path in sorted(root.runs.glob("*")) if KEY.fullmatch(path.name) and _is_folder_or_link(path)]
    held = [folder for folder in folders if _held(folder)]
    launches = Launches(root)
    launches.refresh()
    over = _without_anybody(launches.all(), held)
    handed_out = {key for launch in launches.all() for key in _in_work(launch, over, launches.jobs)}
    free = [folder for folder in folders if folder.name not in handed_out and folder not in held]
    busy = len(free) < len(folders)
    unwanted = {folder for folder in free if _variant(folder) not in wanted}
    stay = [folder for folder in free if folder not in unwanted]
    found = {
        "checkpoints": [folder / "checkpoints" for folder in stay if folder.name in done],
        "runs": sorted(unwanted),
        "unfinished": [*_temporary(stay), *_temporary([root.results, root.runs / "cache"])],
        "launches": _output(root, over, {folder.name for folder in folders if folder not in unwanted} - done, busy),
        # A worker that has just begun may be reading what is kept.
        "architectures": [] if busy else sorted((root.runs / "cache").glob("*.json")),
        "cache": [] if busy else _cached(cache_folder()),
    }
    bases = (root.runs, root.results, cache_folder())
    places = [(kind, path) for kind, paths in found.items() for path in paths if _removable(path, bases)]
    chosen = {path for _, path in places}
    return [Leftover(kind, path, size_of(path)) for kind, path in places if chosen.isdisjoint(path.parents)]


def remove(leftovers: Iterable[Leftover]) -> None:
    """Remove them, but for what somebody has begun to work on since."""
    for one in leftovers:
        folder = {"runs": one.path, "checkpoints": one.path.parent}.get(one.kind)
        if folder is not None and _held(folder):
            continue
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path)
        else:
            one.path.unlink(missing_ok=True)


def _removable(path: Path, bases: Iterable[Path]) -> bool:
    """Whether a path is there and lies below one of some folders, with no link on the way."""
    real = path.parent.resolve()
    below = (base for base in bases if path.is_relative_to(base) and path != base)
    return os.path.lexists(path) and any(real == base.resolve() / path.parent.relative_to(base) for base in below)


def _is_folder_or_link(path: Path) -> bool:
    return path.is_dir() or path.is_symlink()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links are not followed."""
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


def _variant(folder: Path) -> str:
    """The key with seed 0 of the run that a folder is of; the folder's name where that cannot be told."""
    try:
        run = Run.from_dict(orjson.loads((folder / "run.json").read_bytes())["run"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, SpecError):
        return folder.name
    return run.replace(seed=0).key if run.key == folder.name else folder.name


def _temporary(folders: Iterable[Path]) -> Iterator[Path]:
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in (Path(folder, name) for name in sorted(names) if TEMPORARY.fullmatch(name)):
                with suppress(FileNotFoundError):
                    if time.time() - path.lstat().st_mtime > QUIET_S:
                        yield path


def _without_anybody(launches: Sequence[Launch], held: Iterable[Path]) -> list[Launch]:
    """The launches whose supervisor has gone, and of whose workers none holds a run."""
    owners = [current.owner for folder in held if (current := lease.current(folder))]
    working = {lease.launch_of(owner.worker) for owner in owners if owner}
    return [launch for launch in launches if not launch.supervised and launch.name not in working]


def _in_work(launch: Launch, over: Sequence[Launch], jobs: Mapping[str, Job] | None) -> Iterator[str]:
    """The runs of a launch that somebody looks after, or that wait or run in Slurm's queue, as far as is known."""
    if launch not in over:
        yield from launch.keys
    for job, keys in launch.jobs.items():
        if jobs is None or job in jobs:
            yield from keys


def _output(root: Root, over: Sequence[Launch], waited_for: set[str], busy: bool) -> list[Path]:
    """Files and folders of launches whose runs are all done or not wanted any more, and submitit's of before."""
    paths = [path for one in over if not waited_for & set(one.keys) for path in (one.path, one.logs)]
    return paths if busy else [*paths, *sorted((root.runs / "submitit").glob("*"))]


def _cached(folder: Path) -> list[Path]:
    """What this suite has put into the cache folder, which may hold other things where a user has named it."""
    kinds = sorted(get_args(Kind))
    return [path for kind in kinds for path in sorted((folder / kind).glob("*")) if CACHED.fullmatch(path.name)]
