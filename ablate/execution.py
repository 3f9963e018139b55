"""A run to its record: open its data, train it, say where and how. It touches no disk but the data's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ablate.extend import fingerprints
from ablate.records import Record
from ablate.resources import Resources
from ablate.spec import Run


def _silent(state: dict[str, Any]) -> None:
    """Report nothing."""


def execute(run: Run, resources: Resources, report: Callable[[dict[str, Any]], None] = _silent) -> Record:
    """Train and evaluate one run in this process.

    Args:
        report: called with a dict of what is known so far, after every step and epoch.
    """
    # Imported here, so that a launcher that only names `work` does not wait for torch.
    import torch

    from ablate.complexity import complexity
    from ablate.loading import open_images
    from ablate.memory import peak
    from ablate.provenance import where_and_what
    from ablate.train import fit

    own = fingerprints(run)
    torch.set_num_threads(resources.threads)
    device = _device(resources)
    with peak(device) as memory:
        images, facts = open_images(run, resources, device)
        fitted = fit(run, images, device, report)
    return Record(
        key=run.key,
        run=run.fields(),
        metrics=fitted.metrics,
        history=fitted.history,
        complexity=complexity(run, images.channels, len(images.classes)),
        dataset=facts,
        cost=fitted.cost | memory,
        provenance=where_and_what(resources, device) | ({"files": own} if own else {}),
    )


def _device(resources: Resources) -> Any:
    import torch

    if resources.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(resources.device)
