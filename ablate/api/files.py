"""Datasets, the files of another root, and unused files."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.api.arguments import Folder, Paths, absolute
from ablate.dispatch.cleanup import find, remove
from ablate.results import merge as merging
from ablate.store.root import Root
from ablate.study.load import every_study


def datasets(data: Paths | None = None) -> pd.DataFrame:
    """Return one row per dataset: `name`, whether it `needs_path`, and its `path`, None where there is none.

    Args:
        data: paths of datasets, by name; the settings give the others.
    """
    from ablate.data.datasets import needs_location
    from ablate.data.describe import known

    rows = [(name, needs_location(name), path) for name, path in known(absolute(data)).items()]
    return pd.DataFrame(rows, columns=["name", "needs_path", "path"])


def dataset(name: str, path: str | Path | None = None) -> dict[str, Any]:
    """Return what a dataset contains: classes, images, fingerprint, corrupt images; see `ablate data NAME --json`."""
    from ablate.data.describe import describe

    return describe(name, absolute({} if path is None else {name: path}))


def merge(
    other: str | Path, *, dry_run: bool = False, force: bool = False, weights: bool = False, root: Folder = None
) -> pd.DataFrame:
    """Copy the records and speed measurements of another root into this one, and return one row per file.

    Args:
        dry_run: copy nothing.
        force: replace conflicting ones, and keep those beside.
        weights: also copy the final weights of new and equal records.

    Returns:
        `kind` ("new", "same", "conflicting" or "damaged"), `source`, `target`, `reason`, and whether it was `copied`.
    """
    found = merging.merge(Path(other), Root.at(root), dry_run=dry_run, force=force, weights=weights)
    rows = [asdict(one) | {"copied": one in found.copied and not dry_run} for one in found.files]
    return pd.DataFrame(rows, columns=["kind", "source", "target", "reason", "copied"])


def clean(*files: str | Path, delete: bool = False, weights: bool = False, root: Folder = None) -> pd.DataFrame:
    """Return the files under `runs/` and the cache that no study uses, and delete them on request.

    Args:
        files: of other studies whose runs to keep, in addition to the named ones.
        delete: delete them; by default they are only listed.
        weights: also the weights of runs that differ from a study's in their budget only.

    Returns:
        `kind`, `path`, `bytes`, and whether it was `deleted`.
    """
    folder = Root.at(root)
    found = find(folder, every_study(folder.path, files), weights=weights)
    if delete:
        remove(found)
    rows = [(one.kind, one.path, one.size, delete and not os.path.lexists(one.path)) for one in found]
    return pd.DataFrame(rows, columns=["kind", "path", "bytes", "deleted"])
