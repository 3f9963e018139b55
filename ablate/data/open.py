"""A run's dataset, opened on the device it trains on: kept in memory, or decoded when needed, as the run says."""

from __future__ import annotations

from typing import Any

import torch

from ablate.data.datasets import Arrays, source
from ablate.data.images import Images, log
from ablate.data.resident import Decoded, Resident
from ablate.data.workers import FromFiles
from ablate.spec.resources import Resources
from ablate.spec.run import Run


def open_images(run: Run, resources: Resources, device: torch.device) -> tuple[Images, dict[str, Any]]:
    """The dataset, and the facts of it that a record keeps."""
    module, location = source(run.dataset, resources.data)
    module.check(run, location)
    if location is not None:
        log.info("%s", module.DIRECTORY.line(run.dataset, location))
    data = module.load(run, location)
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
