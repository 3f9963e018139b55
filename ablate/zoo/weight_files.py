"""Weight files: read without running code, compared with the checksums in them, and searched for NaN."""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ablate.spec.errors import SpecError
from ablate.train.checkpoint import FOLDER

Weights = dict[str, Any]

AVERAGES = ("ema", "state_dict_ema", "model_ema")
ZIP = b"PK\x03\x04"  # how a zip file begins
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")  # what DistributedDataParallel and torch.compile add to names


def read(path: str | Path, *, averaged: bool = False) -> Weights:
    """Read the tensors of a weight file, which may be under "model" or "state_dict".

    Args:
        path: path of the file.
        averaged: return the moving average of the weights instead.

    Raises:
        SpecError: when the file does not exist, is damaged, contains more than tensors, or has no moving average.
    """
    return tensors(content(path), path, averaged=averaged)


def tensors(found: Any, path: str | Path, *, averaged: bool = False) -> Weights:
    """Return the tensors in the content of a weight file, as `read` does; wrapped models have names as in timm."""
    if averaged:
        found = _average(found, path)
    else:
        for outer in ("state_dict", "model"):
            found = found.get(outer, found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping):
        raise SpecError(f"{path} must contain tensors by name, got a {type(found).__name__}")
    if odd := [name for name in found if not isinstance(name, str)]:
        raise SpecError(f"{path} must contain tensors by name, got the name {odd[0]!r}")
    weights = {WRAPPERS.sub("", name, count=1): value for name, value in found.items()}
    _refuse_nan(weights, path)
    return weights


def _average(found: Any, path: str | Path) -> Any:
    """Return the averaged weights under the name of ablate, timm or DeiT."""
    for name in AVERAGES:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping) and found[name]:
            return found[name]
    raise SpecError(f"{path} must contain averaged weights under {' or '.join(AVERAGES)}; it has none")


def _refuse_nan(weights: Weights, path: str | Path) -> None:
    floats = {name: value for name, value in weights.items() if torch.is_tensor(value) and value.is_floating_point()}
    found = [name for name, value in floats.items() if value.float().isnan().any()]
    if found:
        raise SpecError(
            f"{path} contains NaN in {len(found)} of {len(weights)} tensors, such as {found[0]}, so the model has no "
            "accuracy; pass weights from before the training diverged"
        )


def content(path: str | Path) -> Any:
    """Read a weight file without running code: tensors, plain values, and containers of them.

    Raises:
        SpecError: when the file does not exist, is damaged, or contains anything else.
    """
    if not Path(path).is_file():
        raise SpecError(f"there is no weight file {path}")
    _compare_checksums(path)
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        # Training checkpoints of timm contain their options as a Namespace, which is plain data.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise SpecError(f"{path} is refused: {_unsafe_content(path)}") from None
    except Exception as error:  # a file that is not a pickle can raise anything
        raise SpecError(f"{path} cannot be read as a weight file: {' '.join(str(error).split())}") from None


def _unsafe_content(path: str | Path) -> str:
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # as above
        names = []
    what = f"unpickling its {', '.join(names)} could run code" if names else "it is not a pickle of tensors"
    return f"{what}; pass a file that contains only tensors by name"


def _compare_checksums(path: str | Path) -> None:
    """Refuse a file of `torch.save` that has changed since; torch itself does not compare the checksums in it."""
    members = _members(path)
    damaged = [name for name, whole in members.items() if not whole]
    if damaged and len(damaged) < len(members):
        raise SpecError(f"{path} is damaged: the checksum of {damaged[0]} is wrong; restore it from a copy")


def has_checksums(path: str | Path) -> bool:
    """Return whether damage to a file would be found.

    Only a zip file, as `torch.save` writes it, has checksums. If torch was told to write none, all of them are wrong.
    """
    return any(_members(path).values())


def _members(path: str | Path) -> dict[str, bool]:
    """Return whether each member of a zip file has its checksum; an empty dict for another file.

    Raises:
        SpecError: when the directory of the zip file is damaged, from which torch might read other tensors.
    """
    with open(path, "rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return {}
    try:
        with zipfile.ZipFile(path) as archive:
            return {member.filename: _is_whole(archive, member) for member in archive.infolist()}
    except Exception as error:  # a damaged directory can raise anything
        raise SpecError(f"{path} is damaged, or not complete: {error}; restore it from a copy") from None


def _is_whole(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    if member.external_attr & FOLDER:  # torch would not read its content
        return False
    try:
        with archive.open(member) as file:
            while file.read(1 << 20):
                pass
    except Exception:  # a damaged member can raise anything
        return False
    return True
