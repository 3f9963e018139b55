"""Execute a run: open its data, train it, and return its record with provenance.

`ablate.train.checkpoint` writes its checkpoints and weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ablate.spec.plugins import fingerprints
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store.records import Record
from ablate.train.distributed import ALONE, World

if TYPE_CHECKING:
    from ablate.train.checkpoint import Checkpoints

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def _silent(state: dict[str, Any]) -> None:
    """Report nothing."""


def execute(
    run: Run,
    resources: Resources,
    report: Callable[[dict[str, Any]], None] = _silent,
    checkpoints: Checkpoints | None = None,
    world: World = ALONE,
) -> Record:
    """Train and evaluate one run in this process, resuming from its newest checkpoint if there is one.

    Args:
        run: the run to train.
        resources: what it may use.
        report: called with a dict of progress after every step and epoch.
        checkpoints: for resuming, for saving, and for the final weights; None writes no files.
        world: the processes that train the run together; all get the same record.
    """
    # Imported here, so that a launcher that only refers to this function does not import torch.
    import torch

    from ablate.data.open import open_images
    from ablate.model.cost import complexity
    from ablate.model.own import check_own
    from ablate.train.loop import fit
    from ablate.train.memory import peak
    from ablate.train.provenance import conditions, provenance_of

    own = fingerprints(run)
    torch.set_num_threads(resources.threads)
    device = world.device(resources.device)
    with peak(device) as memory, _deterministic(on=resources.deterministic):
        images, facts = open_images(run, resources, device)
        check_own(run, images.channels, len(images.classes))
        present = conditions(resources, device, world) | {"fingerprint": facts["fingerprint"]}
        fitted = fit(run, images, device, report, resources, checkpoints, world, present)
        where = provenance_of(resources, device, world)
    shape = {"channels": images.channels, "classes": list(images.classes)}
    if checkpoints and resources.keep != "none":
        checkpoints.write_weights({"run": run.to_dict(), **shape, **fitted.weights})
    *earlier, _ = fitted.conditions
    return Record(
        key=run.key,
        run=run.to_dict(),
        metrics=fitted.metrics,
        history=fitted.history,
        complexity=complexity(run, images.channels, len(images.classes)),
        dataset=facts | images.corrupt_facts(),
        cost=fitted.cost | memory,
        provenance=where | ({"files": own} if own else {}) | ({"earlier": earlier} if earlier else {}),
    )


@contextmanager
def _deterministic(*, on: bool) -> Iterator[None]:
    """Use only deterministic algorithms within the block."""
    import torch

    if not on:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    workspace = os.environ.get(WORKSPACE)
    os.environ[WORKSPACE] = workspace or ":4096:8"  # read at the first matrix product on a GPU
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
        if workspace is None:
            del os.environ[WORKSPACE]
