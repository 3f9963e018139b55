"""The command about data: which data sets there are, where each lies, and what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ablate.cli._options import Data, Json, locations, print_columns, print_json


def data(
    name: Annotated[str | None, typer.Argument(metavar="DATASET", help="Look at this one; all by default.")] = None,
    places: Data = None,
    download: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Have torchvision fetch it into this directory first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the data sets with where each lies, or look at one of them.

    Example: ablate data
    Example: ablate data cifar10 --download ~/data/cifar10
    """
    from ablate.data.datasets import needs_location
    from ablate.spec.errors import SpecError
    from ablate.spec.parts import DATASETS
    from ablate.spec.settings import data_folders

    if download is not None:
        _download(name, download)
    given = locations(places) | ({name: str(download.absolute())} if name and download else {})
    if name is not None:
        print_json(_looked_at(name, given)) if as_json else typer.echo(_looked_at(name, given)["line"])
        return
    if needless := [one for one in given if not needs_location(one)]:
        raise SpecError(f"--data names {needless[0]}, which needs no place: it comes with an installed package")
    found: dict[str, Any] = dict.fromkeys(DATASETS) | data_folders() | given
    rows = [(one, _place(one, found[one])) for one in sorted(found)]
    if as_json:
        print_json([{"name": one, "needs_place": needs_location(one), "place": _text(found[one])} for one, _ in rows])
    else:
        print_columns([("DATASET", "PLACE"), *rows])


def _text(place: object) -> str | None:
    return None if place is None else str(place)


def _place(name: str, place: object) -> str:
    """Where a data set lies, in words."""
    from ablate.data.datasets import needs_location

    if not needs_location(name):
        return "in scikit-learn"
    return str(place or f"nowhere yet: --data {name}=PATH, [data] in ablate.toml, or ABLATE_DATA")


def _looked_at(name: str, given: dict[str, str]) -> dict[str, Any]:
    """What one data set holds."""
    from ablate.data.datasets import source

    module, location = source(name, given)
    if location is None:
        told = module.fingerprint(None)
        return {"name": name, "fingerprint": told, "line": f"{name} in scikit-learn: fingerprint {told}"}
    facts = module.DIRECTORY.facts(location)
    return {
        "name": name,
        "place": str(location),
        "classes": list(facts.classes),
        "train": sum(facts.train),
        "test": sum(facts.test),
        "fingerprint": facts.fingerprint,
        "line": module.DIRECTORY.line(name, location),
    }


def _download(name: str | None, place: Path) -> None:
    """Fetch one of the data sets that can be fetched.

    Raises:
        SpecError: for any other, or when the network fails.
    """
    from ablate.spec.errors import SpecError
    from ablate.spec.parts import DATASETS
    from ablate.spec.source import defined

    known = [one for one in DATASETS if "ORIGINAL" in defined(DATASETS.path(one))]
    if name not in known:
        raise SpecError(f"--download is for {' and '.join(known)}; {name or 'no data set'} was named")
    DATASETS[name].ORIGINAL.download(place)


COMMANDS = {"data": data}
