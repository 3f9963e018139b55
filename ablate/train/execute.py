"""A run to its record: open its data, train it, say where and how.

What lies on disk of it, checkpoints and weights, is in the hands of `ablate.train.checkpoint`.
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
    """Train and evaluate one run in this process, from its newest checkpoint where there is one.

    Args:
        report: called with a dict of what is known so far, after every step and epoch.
        checkpoints: where to go on from, to write to, and to leave the final weights; None touches no disk.
        world: the processes that train the run together; all get the same record.
    """
    # Imported here, so that a launcher that only names `work` does not wait for torch.
    import torch

    from ablate.data.open import open_images
    from ablate.model.cost import complexity
    from ablate.train.loop import fit
    from ablate.train.memory import peak
    from ablate.train.provenance import conditions, provenance_of

    own = fingerprints(run)
    torch.set_num_threads(resources.threads)
    device = world.device(resources.device)
    with peak(device) as memory, _deterministic(on=resources.deterministic):
        images, facts = open_images(run, resources, device)
        made = conditions(resources, device, world) | {"fingerprint": facts["fingerprint"]}
        fitted = fit(run, images, device, report, resources, checkpoints, world, made)
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
    """Only algorithms that give equal bits twice, for a while."""
    import torch

    if not on:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    workspace = os.environ.get(WORKSPACE)
    os.environ[WORKSPACE] = workspace or ":4096:8"  # read when a GPU's first product is computed
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
        if workspace is None:
            del os.environ[WORKSPACE]
