"""The command about datasets: which there are, their paths, and what they contain."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ablate.cli._options import Data, Json, locations, print_columns, print_json
from ablate.data.datasets import needs_location, source
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run
from ablate.spec.settings import data_folders
from ablate.spec.source import defined

LINES = ("line", "images", "duplicates")  # the descriptions that are sentences


def data(
    name: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Describe this dataset; by default, list all.")
    ] = None,
    paths: Data = None,
    download: Annotated[
        Path | None, typer.Option(metavar="PATH", help="First download it with torchvision to this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the datasets with their paths, or describe one.

    Examples:
        ablate data
        ablate data cifar10 --download ~/data/cifar10
    """
    if download is not None:
        _download(name, download)
    given = locations(paths) | ({name: str(download.absolute())} if name and download else {})
    if name is not None:
        described = _describe(name, given)
        print_json(described) if as_json else typer.echo("\n".join(described[one] for one in LINES if one in described))
        if described.get("stops"):
            raise typer.Exit(2)
        return
    if needless := [one for one in given if not needs_location(one)]:
        raise SpecError(f"--data must name a dataset on disk, got {needless[0]}, which comes with an installed package")
    found: dict[str, Any] = dict.fromkeys(DATASETS) | data_folders() | given
    rows = [(one, _path(one, found[one])) for one in sorted(found)]
    if as_json:
        print_json([{"name": one, "needs_path": needs_location(one), "path": _text(found[one])} for one, _ in rows])
    else:
        print_columns([("DATASET", "PATH"), *rows])


def _text(path: object) -> str | None:
    return None if path is None else str(path)


def _path(name: str, path: object) -> str:
    """Return the path of a dataset, or how to set it."""
    if not needs_location(name):
        return "in scikit-learn"
    return str(path or f"none; set it with --data {name}=PATH, [data] in ablate.toml, or ABLATE_DATA")


def _describe(name: str, given: dict[str, str]) -> dict[str, Any]:
    """Return the content of a dataset."""
    from ablate.data.copies import find_copies
    from ablate.data.look import look

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


def _download(name: str | None, path: Path) -> None:
    """Download a dataset.

    Raises:
        SpecError: for a dataset that torchvision does not have, and when the network fails.
    """
    known = [one for one in DATASETS if "ORIGINAL" in defined(DATASETS.path(one))]
    if name not in known:
        raise SpecError(f"--download needs one of the datasets {', '.join(known)}, got {name or 'none'}")
    DATASETS[name].ORIGINAL.download(path)
