"""One run written out in full: all that may change a number, and nothing else.

`Run` is at once the axes of a study, the columns of the table and the input of the hash. What must not change the
expected result (threads, loader workers, device) is `ablate.resources.Resources`, which cannot reach the key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_type_hints

from ablate.registry import Registry, SpecError, behaviour, unknown

_HERE = Path(__file__).parent
MIXERS = Registry("mixer", "ablate.mixers", _HERE / "mixers")
DATASETS = Registry("dataset", "ablate.datasets", _HERE / "datasets")

# A field added to `Run` after the first release, with the value that stands for the behaviour before it existed:
# while the field holds that value it stays out of the key, so that old records keep counting.
ADDED_LATER: Mapping[str, Any] = {}

# Modules whose behaviour every run depends on; a number above 1 enters every key.
PIECES = ("seeds", "models", "datasets/__init__", "images", "resident", "workers", "optim", "train")

LARGEST = 2**63  # JSON's integers, as orjson writes them, have 64 bits

Check = Callable[[Any], str | None]


def _anything(_: Any) -> str | None:
    return None


def _positive(value: float) -> str | None:
    return None if value > 0 else f"a {'whole ' if isinstance(value, int) else ''}number above 0"


def _not_negative(value: float) -> str | None:
    return None if value >= 0 else "0 or more"


def _fraction(value: float) -> str | None:
    return None if 0 <= value < 1 else "at least 0 and below 1"


def _probability(value: float) -> str | None:
    return None if 0 <= value <= 1 else "between 0 and 1"


def _share(value: float) -> str | None:
    return None if 0 < value <= 1 else "above 0 and at most 1"


def _dataset_name(value: str) -> str | None:
    # results/speed/ holds measurements of speed, which are no records of runs.
    if value == "speed":
        return "another name: results/speed is taken"
    return None if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value) else "letters, digits, '_', '.' and '-'"


def _one_of(*known: str) -> Check:
    return lambda value: None if value in known else "one of " + ", ".join(known)


def _field(default: Any, meaning: str, check: Check) -> Any:
    return field(default=default, metadata={"meaning": meaning, "check": check})


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run. Equal runs have equal keys; a wrong value is a `SpecError` that names the field."""

    mixer: str = _field("attention", "token mixer of every block", _anything)
    token_ratio: float = _field(4.0, "hidden width over tokens, in units of the number of tokens", _positive)
    patch_size: int = _field(16, "side of a square patch, pixels", _positive)
    dim: int = _field(192, "embedding width", _positive)
    depth: int = _field(12, "number of blocks", _positive)
    heads: int = _field(3, "attention heads", _positive)
    mlp_ratio: float = _field(4.0, "hidden width over features, in units of dim", _positive)
    pool: str = _field("cls", "what the head reads: the class token or the average token", _one_of("avg", "cls"))
    norm_before_pool: bool = _field(True, "last norm before the pooling; after it, it couples the tokens", _anything)
    drop: float = _field(0.0, "dropout after the position embedding and in the feed-forward layers", _fraction)
    drop_path: float = _field(0.0, "stochastic depth of the last block, rising linearly from 0", _fraction)

    dataset: str = _field("digits_shifted", "name of the data set", _dataset_name)
    image_size: int = _field(16, "side of the square input, pixels", _positive)
    holdout: float = _field(0.0, "fraction of the training part held out for choosing", _fraction)
    crop_min_area: float = _field(1.0, "smallest area of a random resized crop; 1 is no random crop", _share)
    hflip: float = _field(0.0, "probability of a horizontal flip", _probability)
    eval_crop: float = _field(1.0, "centre crop at evaluation, as a fraction of the resized side", _share)

    opt: str = _field("adamw", "optimiser, by timm's name", _one_of("adamw", "sgd"))
    lr: float = _field(1e-3, "peak learning rate at this batch size", _positive)
    weight_decay: float = _field(0.05, "weight decay; none on biases, norms and embeddings", _not_negative)
    batch_size: int = _field(64, "global batch size", _positive)
    epochs: int = _field(30, "passes over the training part", _positive)
    warmup_epochs: int = _field(0, "epochs of linear warm-up", _not_negative)
    warmup_lr: float = _field(1e-6, "learning rate the warm-up starts from", _not_negative)
    min_lr: float = _field(1e-5, "learning rate the cosine ends at", _not_negative)
    smoothing: float = _field(0.0, "label smoothing", _fraction)
    clip_grad: float = _field(0.0, "largest gradient norm; 0 is no clipping", _not_negative)
    precision: str = _field("fp32", "arithmetic of the forward pass", _one_of("bf16", "fp32"))
    seed: int = _field(0, "seeds everything random", _not_negative)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _coerce(item.name, getattr(self, item.name), _types()[item.name])
            object.__setattr__(self, item.name, value)
            if wanted := item.metadata["check"](value):
                raise SpecError(f"{item.name} is {value!r}; wanted is {wanted}")
        MIXERS.check(self.mixer)
        _check_together(self)

    @cached_property
    def key(self) -> str:
        """Ten hex digits of a sha256 over all fields and the behaviour numbers they bring in."""
        values = {k: v for k, v in self.fields().items() if k not in ADDED_LATER or v != ADDED_LATER[k]}
        text = json.dumps([values, behaviours(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def fields(self) -> dict[str, Any]:
        """All fields with their values, in order: JSON-ready."""
        return asdict(self)

    def but(self, **changes: Any) -> Run:
        """This run with some fields changed."""
        _known_fields(changes)
        return replace(self, **changes)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Run:
        """The run a mapping of fields describes; an unknown field is a `SpecError`."""
        _known_fields(values)
        return cls(**values)


def _known_fields(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in _types():
            raise unknown("field", name, _types())


@cache
def _types() -> dict[str, type]:
    hints = get_type_hints(Run)
    return {item.name: hints[item.name] for item in fields(Run)}


_IN_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a name, in quotes"}


def _coerce(name: str, value: Any, wanted: type[Any]) -> Any:
    """The value as the field's type, if nothing is lost by it; numpy's scalars count as numbers."""
    value = value.item() if getattr(value, "ndim", None) == 0 else value
    if wanted not in (int, float):
        if isinstance(value, wanted):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < LARGEST:
            raise SpecError(f"{name} is {value}; wanted is a finite number, below 2**63")
        if wanted(value) == value:
            return wanted(value) + wanted(0)  # -0.0 equals 0.0 and must have its key
    raise SpecError(f"{name} is {value!r}; wanted is {_IN_WORDS[wanted]}")


def _check_together(run: Run) -> None:
    if run.image_size % run.patch_size:
        raise SpecError(f"patch_size {run.patch_size} does not divide image_size {run.image_size}")
    if run.dim % run.heads:
        raise SpecError(f"heads {run.heads} does not divide dim {run.dim}")
    if run.mlp_ratio * run.dim < 1:
        raise SpecError(
            f"mlp_ratio {run.mlp_ratio:g} of dim {run.dim} leaves no hidden layer; wanted is 1 or more wide"
        )
    if round(run.token_ratio * (run.image_size // run.patch_size) ** 2) < 1:
        raise SpecError(f"token_ratio {run.token_ratio:g} leaves no hidden layer over the tokens")
    if run.warmup_epochs >= run.epochs:
        raise SpecError(f"warmup_epochs is {run.warmup_epochs}; wanted is fewer than epochs, {run.epochs}")
    if run.pool == "cls" and not run.norm_before_pool:
        raise SpecError("norm_before_pool is False with pool 'cls', where it changes nothing; wanted is pool 'avg'")


def behaviours(run: Run) -> dict[str, int]:
    """The behaviour numbers above 1 of everything this run brings in; 1 is how each piece began."""
    numbers = {f"{piece}.py": behaviour(_HERE / f"{piece}.py") for piece in PIECES}
    numbers[f"mixers/{run.mixer}"] = MIXERS.behaviour(run.mixer)
    dataset = run.dataset if run.dataset in DATASETS else "_imagefolder"
    numbers[f"datasets/{dataset}"] = behaviour(_HERE / "datasets" / f"{dataset}.py")
    return {name: number for name, number in numbers.items() if number != 1}


def differences(one: Run, other: Run) -> dict[str, tuple[Any, Any]]:
    """The fields in which two runs differ, each with both values."""
    pairs = zip(one.fields().items(), other.fields().values(), strict=True)
    return {name: (mine, yours) for (name, mine), yours in pairs if mine != yours}
