"""The command about datasets: which there are, their paths, and what they contain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.cli._options import Data, Json, locations, print_columns, print_json
from ablate.data.datasets import needs_location
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
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
    from ablate.data.describe import describe, known  # here, since numpy imports slowly

    if name is not None:
        described = describe(name, given)
        print_json(described) if as_json else typer.echo("\n".join(described[one] for one in LINES if one in described))
        if described.get("stops"):
            raise typer.Exit(2)
        return
    found = known(given)
    if as_json:
        print_json([{"name": one, "needs_path": needs_location(one), "path": path} for one, path in found.items()])
    else:
        print_columns([("DATASET", "PATH"), *((one, _path(one, path)) for one, path in found.items())])


def _path(name: str, path: str | None) -> str:
    """Return the path of a dataset, or how to set it."""
    if not needs_location(name):
        return "in scikit-learn"
    return path or f"none; set it with --data {name}=PATH, [data] in ablate.toml, or ABLATE_DATA"


def _download(name: str | None, path: Path) -> None:
    """Download a dataset.

    Raises:
        SpecError: for a dataset that torchvision does not have, and when the network fails.
    """
    downloadable = [one for one in DATASETS if "ORIGINAL" in defined(DATASETS.path(one))]
    if name not in downloadable:
        raise SpecError(f"--download needs one of the datasets {', '.join(downloadable)}, got {name or 'none'}")
    DATASETS[name].ORIGINAL.download(path)
