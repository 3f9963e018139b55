"""How many runs each Slurm job takes, one after the other: short runs share a job of about ten minutes.

How long a run takes is known from `--run-minutes`, from records of the same variant with other seeds, or from a probe
of it. A run whose time is not known has a job of its own.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields

from ablate.dispatch import slurm
from ablate.dispatch.probe import remembered
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.store.rows import columns

MARGIN = 1.5  # a job's time limit over the expected time of its runs
START_MIN = 5  # for its start, the import of libraries and the first decoding of images
VARIANT = [item.name for item in fields(Run) if item.name != "seed"]
COLUMNS = frozenset({*VARIANT, "total_s", "device"})

Expected = tuple[float, str]  # seconds of a run, and where they come from


@dataclass(frozen=True)
class Grouping:
    """The runs of each job, in order.

    Args:
        slices: the keys of the runs of each job.
        expected: how long each run takes and how that is known, by key; without the runs of which it is not known.
        limit: time limit of a job, in minutes; 0 uses the partition's.
    """

    slices: Sequence[Sequence[str]]
    expected: Mapping[str, Expected]
    limit: int = 0

    @property
    def unknown(self) -> int:
        """Number of runs whose time is not known."""
        return sum(key not in self.expected for keys in self.slices for key in keys)

    def minutes(self, keys: Sequence[str]) -> float | None:
        """Return the expected minutes of a job with some runs; None if one of them is not known."""
        if any(key not in self.expected for key in keys):
            return None
        return sum(self.expected[key][0] for key in keys) / 60

    def sentences(self) -> list[str]:
        """Return the jobs as number × runs × minutes, how the times are known, and what follows if they are not."""
        jobs = Counter((len(keys), _shown(self.minutes(keys))) for keys in self.slices)
        table = ", ".join(f"{count} × {runs} × {minutes}" for (runs, minutes), count in jobs.items())
        origins = ", ".join(dict.fromkeys(origin for _, origin in self.expected.values()))
        lines = [f"jobs × runs × minutes: {table}" + (f"; times from {origins}" if origins else "")]
        if self.unknown:
            runs = f"{self.unknown} run{'' if self.unknown == 1 else 's'}"
            lines.append(
                f"how long {runs} will take is not known, from records or a probe: they share no job, unless "
                "--run-minutes or --runs-per-job is given"
            )
        return lines


def _shown(minutes: float | None) -> str:
    return "unknown" if minutes is None else "<1" if minutes < 1 else f"about {minutes:.0f}"


def group(root: Root, runs: Sequence[Run], resources: Resources) -> Grouping:
    """Return the jobs of some runs."""
    expected = _expected(root, runs, resources)
    slices = _slices([run.key for run in runs], expected, resources)
    return Grouping(slices, expected, resources.minutes or _limit(slices, expected, resources.partition))


def _slices(keys: Sequence[str], expected: Mapping[str, Expected], resources: Resources) -> list[list[str]]:
    """Return the runs of each job: a fixed number or, in order, as many as the minutes of a job hold."""
    if number := resources.runs_per_job:
        return [list(keys[at : at + number]) for at in range(0, len(keys), number)]
    most = min(resources.minutes_per_job, resources.minutes / MARGIN if resources.minutes else math.inf)
    found: list[list[str]] = []
    left = -math.inf
    for key in keys:
        seconds, _ = expected.get(key, (math.inf, ""))
        if seconds <= left:
            found[-1].append(key)
        else:
            found.append([key])
            left = 60 * most
        left -= seconds
    return found


def _limit(slices: Sequence[Sequence[str]], expected: Mapping[str, Expected], partition: str) -> int:
    """Return the time limit of the longest job in minutes, at most the partition's; 0 if a run is not known."""
    if not slices or any(key not in expected for keys in slices for key in keys):
        return 0
    longest = max(sum(expected[key][0] for key in keys) for keys in slices)
    minutes = math.ceil(MARGIN * longest / 60) + START_MIN
    return min(minutes, slurm.most_minutes(partition) or minutes)


def _expected(root: Root, runs: Sequence[Run], resources: Resources) -> dict[str, Expected]:
    """Return how long runs will take and how that is known, by key; without the runs of which it is not known."""
    if resources.run_minutes:
        return {run.key: (60 * resources.run_minutes, "--run-minutes") for run in runs}
    known = _recorded(root)
    found = {}
    for run in runs:
        if recorded := known.get(_variant(run.to_dict())):
            seconds, names = zip(*recorded, strict=True)
            found[run.key] = statistics.median(seconds), f"records on {statistics.mode(names)}"
        elif probe := remembered(run):
            found[run.key] = 3600 * probe.hours / resources.processes, f"a probe on {probe.device}"
    return found


def _variant(run: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(run[name] for name in VARIANT)


def _recorded(root: Root) -> dict[tuple[object, ...], list[tuple[float, str]]]:
    """Return seconds and device of each record, by its variant; nothing if a record cannot be read."""
    found: dict[tuple[object, ...], list[tuple[float, str]]] = {}
    with suppress(SpecError):
        table = columns(root.results)
        for at in range(len(table.get("key", ()))):
            row = {name: column[at] for name, column in table.items() if name in COLUMNS}
            if isinstance(row.get("total_s"), int | float):
                found.setdefault(_variant(row), []).append((row["total_s"], str(row["device"])))
    return found
