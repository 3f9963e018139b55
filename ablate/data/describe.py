"""Which datasets there are, their paths, and what one contains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ablate.data.copies import find_copies
from ablate.data.datasets import needs_location, source
from ablate.data.look import look
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run
from ablate.spec.settings import data_folders


def known(given: Mapping[str, str]) -> dict[str, str | None]:
    """Return every dataset with its path, sorted; None where it is unknown, or not needed.

    Args:
        given: paths by name; the settings give the others.

    Raises:
        SpecError: when a path is given for a dataset that needs none.
    """
    _check_needed(given)
    found: dict[str, Any] = dict.fromkeys(DATASETS) | data_folders() | dict(given)
    return {name: None if path is None else str(path) for name, path in sorted(found.items())}


def describe(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a dataset: its classes, images, fingerprint, and a sentence about it as `line`.

    Args:
        given: paths of datasets, by name; the settings give the others.

    Raises:
        SpecError: when the dataset is unknown, or cannot be read.
    """
    _check_needed(given)
    module, location = source(name, given)
    if location is None:
        fingerprint = module.fingerprint(None)
        return {"name": name, "fingerprint": fingerprint, "line": f"{name} in scikit-learn: fingerprint {fingerprint}"}
    facts = module.DIRECTORY.facts(location)
    content = module.load(Run(dataset=name), location)
    found, copies = look(content), find_copies(content)
    if copies and copies.whole:
        raise SpecError(
            f"the test part of {location} must not be a copy of its training part: {copies}; replace it by other images"
        )
    return {
        "name": name,
        "path": str(location),
        "classes": list(facts.classes),
        "train": sum(facts.train),
        "test": sum(facts.test),
        "fingerprint": facts.fingerprint,
        "left_out": dict(facts.left_out),
        "decoded": found.seen,
        "with_orientation": found.turned,
        "corrupt": [{"name": image, "reason": reason} for image, reason in found.corrupt],
        "line": module.DIRECTORY.line(name, location),
        "images": str(found),
        "stops": bool(found.spoilt),
        **({"copies": asdict(copies), "duplicates": str(copies)} if copies else {}),
    }


def _check_needed(given: Mapping[str, str]) -> None:
    if needless := [one for one in given if not needs_location(one)]:
        raise SpecError(f"--data must name a dataset on disk, got {needless[0]}, which comes with an installed package")
