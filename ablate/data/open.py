"""Open the dataset of a run on its training device: kept in memory, or decoded when needed."""

from __future__ import annotations

from typing import Any

import torch

from ablate.data.datasets import Arrays, Encoded, source
from ablate.data.images import Images, log
from ablate.data.resident import Decoded, Resident
from ablate.data.workers import FromFiles
from ablate.spec.errors import SpecError
from ablate.spec.parts import dataset_file
from ablate.spec.printable import shown
from ablate.spec.resources import Resources
from ablate.spec.run import Run


def open_images(run: Run, resources: Resources, device: torch.device) -> tuple[Images, dict[str, Any]]:
    """Return the dataset of a run, and the facts about it that enter the record."""
    module, location = source(run.dataset, resources.data)
    module.check(run, location)
    if location is not None:
        log.info("%s", module.DIRECTORY.line(run.dataset, location))
    data = module.load(run, location)
    if not isinstance(data, Arrays | Encoded):
        raise SpecError(f"load in {dataset_file(run.dataset)} must return Arrays or Encoded, got {shown(data)}")
    images: Images
    if isinstance(data, Arrays):
        images = Resident(run, data, device)
    else:
        images = (Decoded if run.resident else FromFiles)(run, data, device, resources)
    return images, {
        "fingerprint": module.fingerprint(location),
        "classes": list(images.classes),
        "channels": images.channels,
        **{f"n_{part}": size for part, size in images.sizes.items()},
    }
