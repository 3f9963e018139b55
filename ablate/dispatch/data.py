"""The datasets of some runs: where they are, which version they are, and whether they fit the runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ablate.data.datasets import is_available, needs_location, resolve, source
from ablate.model.cost import inputs
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run

# The fields of a run that its dataset checks.
_NAMES = [item.name for item in fields(Run)]
CHECKED = (*_NAMES[_NAMES.index("dataset") : _NAMES.index("eval_crop") + 1], "batch_size")


def locate(data: Mapping[str, str], used: Collection[str]) -> dict[str, str]:
    """Return the path of every used dataset that has one: as passed, else from the settings.

    Args:
        data: paths passed by the user, by dataset.
        used: names of the datasets that the runs use.

    Raises:
        SpecError: for a passed dataset that comes with a package, or that no run uses.
    """
    for name in data:
        if not needs_location(name):
            raise SpecError(f"--data must name a dataset on disk, got {name}, which comes with an installed package")
        if name not in used:
            raise SpecError(f"--data must name a dataset that the study uses ({', '.join(sorted(used))}), got {name}")
    return resolve(set(used), {**data})


def describe(used: Collection[str], data: Mapping[str, str]) -> list[str]:
    """Return one line for each used dataset on disk: its path and content, or that it is not available."""
    lines = []
    for name in sorted(filter(needs_location, used)):
        if is_available(name, data):
            module, location = source(name, data)
            lines.append(str(module.DIRECTORY.line(name, location)))
        else:
            counted = "" if name in DATASETS else f", and models are counted for {inputs(name)[1]:,} classes"
            lines.append(f"{name} is not available, so its images were not checked{counted}; see `ablate data`")
    return lines


def fingerprint(dataset: str, data: Mapping[str, str]) -> str | None:
    """Return the fingerprint of a dataset; None where the dataset is not available."""
    if not is_available(dataset, data):
        return None
    module, location = source(dataset, data)
    return str(module.fingerprint(location))


def check_data(runs: Sequence[Run], data: Mapping[str, str]) -> None:
    """Check that the datasets fit the runs, once for all runs that differ in no field a dataset checks.

    Raises:
        SpecError: with the first mismatch.
    """
    for run in _distinct(runs):
        module, location = source(run.dataset, data)
        module.check(run, location)


def check_available(runs: Sequence[Run], data: Mapping[str, str]) -> None:
    """Check the data of the runs whose dataset is available; skip the others.

    Raises:
        SpecError: with the first mismatch.
    """
    check_data([run for run in runs if is_available(run.dataset, data)], data)


def _distinct(runs: Sequence[Run]) -> Iterator[Run]:
    seen: set[tuple[Any, ...]] = set()
    for run in runs:
        checked = tuple(getattr(run, name) for name in CHECKED)
        if checked not in seen:
            seen.add(checked)
            yield run
