"""Where runs are trained, and how many side by side."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ablate.spec.resources import Resources


class Place(StrEnum):
    """Where runs are trained."""

    local = "local"
    slurm = "slurm"
    inline = "inline"


On = Annotated[
    Place, typer.Option(help="local: worker processes, one a slot; slurm: jobs in arrays; inline: this process.")
]
Jobs = Annotated[
    int | None,
    typer.Option(help="Runs (on Slurm: jobs) side by side; by default one a GPU, else cores over threads."),
]


def side_by_side(on: Place, resources: Resources, jobs: int | None, runs: int) -> int:
    """How many runs train side by side; on Slurm all, where it is not asked otherwise.

    Raises:
        SpecError: when the place cannot give that.
    """
    from ablate.dispatch.slots import slots
    from ablate.spec.errors import SpecError

    if on is Place.inline and resources.processes > 1:
        raise SpecError(f"a run of {resources.processes} processes cannot be trained inline; wanted is --on local")
    if on is not Place.slurm:
        return slots(resources, jobs)
    if jobs is not None and jobs < 1:
        raise SpecError(f"--jobs is {jobs}; wanted is 1 or more")
    return jobs or -(-runs // resources.runs_per_job)
