"""One run written out in full: all that may change a number, and nothing else.

`Run` is at once the axes of a study, the columns of the table and the input of the hash. What must not change the
expected result (threads, loader workers, device) is `ablate.spec.resources.Resources`, which cannot reach the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from typing import Any, get_type_hints

from ablate.spec.checks import (
    Check,
    anything,
    auto_augment,
    dataset_name,
    fraction,
    not_negative,
    one_of,
    positive,
    probability,
    share,
)
from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import CHANNELS, MIXERS, STEMS, behaviours, dataset_file
from ablate.spec.source import optional

# A field added to `Run` after the first release, with the value that stands for the behaviour before it existed:
# while the field holds that value it stays out of the key, so that old records keep counting.
ADDED_LATER: Mapping[str, Any] = {
    "token_hidden": 0,
    "gating_ratio": 3.0,
    "channel": "ff",
    "channel_norm": "channel",
    "channel_heads": 1,
    "order": "token_first",
    "token_norm": "channel",
    "stem": "patchify",
    "pos_embed": "learned",
    "cls_init": 1e-6,
    "decay_pos_embed": False,
    "loader": "auto",
    "crop_padding": 0,
    "color_jitter": 0.0,
    "auto_augment": "",
    "random_erasing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "mix_switch": 0.5,
    "repeats": 1,
    "ema": 0.0,
    "train_fraction": 1.0,
}


# The pieces whose behaviour shapes the model.
SHAPING_PIECES = ("mixers/", "channels/", "stems/", "block.", "models.")

LARGEST = 2**63  # JSON's integers, as orjson writes them, have 64 bits


def _field(default: Any, meaning: str, check: Check) -> Any:
    return field(default=default, metadata={"meaning": meaning, "check": check})


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run. Equal runs have equal keys; a wrong value is a `SpecError` that names the field."""

    mixer: str = _field("attention", "token mixer of every block", anything)
    token_ratio: float = _field(4.0, "hidden width over tokens, in units of the number of tokens", positive)
    token_hidden: int = _field(0, "hidden width over tokens as a fixed number; 0 takes token_ratio", not_negative)
    gating_ratio: float = _field(3.0, "width of gMLP's gate, in units of dim", positive)
    token_norm: str = _field("channel", "axis of the norm before the token mixer", one_of("channel", "token"))
    channel: str = _field("ff", "feature branch of every block", anything)
    channel_norm: str = _field("channel", "axis of the norm before the feature branch", one_of("channel", "token"))
    channel_heads: int = _field(1, "heads of attention over features; a divisor of the number of tokens", positive)
    order: str = _field("token_first", "which branch of a block comes first", one_of("channel_first", "token_first"))
    stem: str = _field("patchify", "how patches become tokens", anything)
    pos_embed: str = _field("learned", "position embedding", one_of("learned", "none", "sincos"))
    cls_init: float = _field(1e-6, "standard deviation of the class token at the start", not_negative)
    patch_size: int = _field(16, "side of a square patch, pixels", positive)
    dim: int = _field(192, "embedding width", positive)
    depth: int = _field(12, "number of blocks", positive)
    heads: int = _field(3, "attention heads", positive)
    mlp_ratio: float = _field(4.0, "hidden width over features, in units of dim", positive)
    pool: str = _field("cls", "what the head reads: the class token or the average token", one_of("avg", "cls"))
    norm_before_pool: bool = _field(True, "last norm before the pooling; after it, it couples the tokens", anything)
    drop: float = _field(0.0, "dropout after the position embedding and inside the branches that have any", fraction)
    drop_path: float = _field(0.0, "stochastic depth of the last block, rising linearly from 0", fraction)

    dataset: str = _field("digits_shifted", "name of the data set", dataset_name)
    image_size: int = _field(16, "side of the square input, pixels", positive)
    holdout: float = _field(0.0, "fraction of the training part held out for choosing", fraction)
    train_fraction: float = _field(1.0, "share of each class trained on, after holdout; epochs keep their steps", share)
    loader: str = _field(
        "auto", "decoded once and kept (resident), or when needed (workers)", one_of("auto", "resident", "workers")
    )
    crop_padding: int = _field(0, "black pixels around a picture before a random crop of image_size", not_negative)
    crop_min_area: float = _field(1.0, "smallest area of a random resized crop; 1 is no random crop", share)
    hflip: float = _field(0.0, "probability of a horizontal flip", probability)
    color_jitter: float = _field(
        0.0, "strength of random brightness, contrast and saturation; none under auto_augment, as in timm", fraction
    )
    auto_augment: str = _field("", "RandAugment in timm's words, such as 'rand-m9-mstd0.5-inc1'", auto_augment)
    random_erasing: float = _field(0.0, "probability that a rectangle is filled with noise", probability)
    mixup: float = _field(0.0, "alpha of Mixup; 0 is none", not_negative)
    cutmix: float = _field(0.0, "alpha of CutMix; 0 is none", not_negative)
    mix_switch: float = _field(0.5, "share of steps with CutMix where both are on", probability)
    repeats: int = _field(1, "copies of a picture, each augmented anew, in an epoch of fewer pictures", positive)
    eval_crop: float = _field(1.0, "centre crop at evaluation, as a fraction of the resized side", share)

    opt: str = _field("adamw", "optimiser, by timm's name", one_of("adamw", "sgd"))
    lr: float = _field(1e-3, "peak learning rate at this batch size", positive)
    weight_decay: float = _field(0.05, "weight decay; none on biases, norms and embeddings", not_negative)
    decay_pos_embed: bool = _field(False, "decay the position embedding too", anything)
    batch_size: int = _field(64, "global batch size", positive)
    epochs: int = _field(30, "passes over the training part", positive)
    warmup_epochs: int = _field(0, "epochs of linear warm-up", not_negative)
    warmup_lr: float = _field(1e-6, "learning rate the warm-up starts from", not_negative)
    min_lr: float = _field(1e-5, "learning rate the cosine ends at", not_negative)
    smoothing: float = _field(0.0, "label smoothing", fraction)
    clip_grad: float = _field(0.0, "largest gradient norm; 0 is no clipping", not_negative)
    ema: float = _field(0.0, "decay of a moving average of the weights, evaluated apart; 0 keeps none", fraction)
    precision: str = _field("fp32", "arithmetic of the forward pass", one_of("bf16", "fp16", "fp32"))
    seed: int = _field(0, "seeds everything random", not_negative)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _coerce(item.name, getattr(self, item.name), _types()[item.name])
            object.__setattr__(self, item.name, value)
            if wanted := item.metadata["check"](value):
                raise SpecError(f"{item.name} is {value!r}; wanted is {wanted}")
        for registry, name in ((MIXERS, self.mixer), (CHANNELS, self.channel), (STEMS, self.stem)):
            registry.check(name)
        _check_together(self)

    @property
    def side(self) -> int:
        """Patches along one side of the picture."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Tokens a block sees: the patches, and the class token where there is one."""
        return self.side**2 + (self.pool == "cls")

    @property
    def resident(self) -> bool:
        """Whether its pictures are decoded once and kept: as asked, else as its data set's file says."""
        usual = optional(dataset_file(self.dataset), "LOADER", "workers")
        return (usual if self.loader == "auto" else self.loader) == "resident"

    @property
    def mixes(self) -> bool:
        """Whether its pictures are mixed with each other, by Mixup or CutMix."""
        return self.mixup > 0 or self.cutmix > 0

    @cached_property
    def key(self) -> str:
        """Ten hex digits of a sha256 over all fields and the behaviour numbers they bring in."""
        return _digest(self._text)

    def keys(self, seeds: Iterable[int]) -> list[str]:
        """The key of this run with each of some seeds; for many seeds many times faster than one run after another."""
        # In JSON a name with its quotes stands nowhere but at its value: inside a string the quotes are escaped.
        head, tail = (self.replace(seed=0) if self.seed else self)._text.split('"seed": 0', 1)
        return [_digest(f'{head}"seed": {seed}{tail}') for seed in seeds]

    @property
    def _text(self) -> str:
        """What the key is the digest of."""
        values = {k: v for k, v in self.to_dict().items() if k not in ADDED_LATER or v != ADDED_LATER[k]}
        return json.dumps([values, behaviours(self)], sort_keys=True)

    @cached_property
    def architecture(self) -> str:
        """Ten hex digits over what shapes the model: equal for runs that differ in data, recipe or seed alone."""
        values = {name: value for name, value in self.to_dict().items() if name in SHAPING}
        values = {k: v for k, v in values.items() if k not in ADDED_LATER or v != ADDED_LATER[k]}
        numbers = {name: number for name, number in behaviours(self).items() if name.startswith(SHAPING_PIECES)}
        return _digest(json.dumps([values, numbers], sort_keys=True))

    def to_dict(self) -> dict[str, Any]:
        """All fields with their values, in order: JSON-ready."""
        return {name: getattr(self, name) for name in _types()}

    def replace(self, **changes: Any) -> Run:
        """This run with some fields changed."""
        _known_fields(changes)
        return replace(self, **changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """The run a mapping of fields describes; an unknown field is a `SpecError`."""
        _known_fields(values)
        return cls(**values)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


_NAMES = [item.name for item in fields(Run)]
# The fields that shape the model.
SHAPING = frozenset([*_NAMES[: _NAMES.index("drop_path") + 1], "image_size"])


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
    _check_widths(run)
    _check_pictures(run)
    if run.mixer == "none" and run.channel == "none":
        raise SpecError("mixer and channel are both 'none', which leaves nothing in a block; wanted is one of them")
    if run.channel == "attention" and run.tokens % run.channel_heads:
        raise SpecError(f"channel_heads {run.channel_heads} does not divide the {run.tokens} tokens")
    if run.pos_embed == "sincos" and run.dim % 4:
        raise SpecError(f"dim is {run.dim}; pos_embed 'sincos' wants a multiple of 4")
    if run.stem == "conv":
        _check_conv_stem(run)
    if run.warmup_epochs >= run.epochs:
        raise SpecError(f"warmup_epochs is {run.warmup_epochs}; wanted is fewer than epochs, {run.epochs}")
    if run.pool == "cls" and not run.norm_before_pool:
        raise SpecError("norm_before_pool is False with pool 'cls', where it changes nothing; wanted is pool 'avg'")


def _check_widths(run: Run) -> None:
    if run.image_size % run.patch_size:
        raise SpecError(f"patch_size {run.patch_size} does not divide image_size {run.image_size}")
    if run.dim % run.heads:
        raise SpecError(f"heads {run.heads} does not divide dim {run.dim}")
    if run.mlp_ratio * run.dim < 1:
        raise SpecError(f"mlp_ratio {run.mlp_ratio:g} of dim {run.dim} leaves no hidden layer, wanted is 1 or wider")
    if run.token_hidden == 0 and round(run.token_ratio * run.tokens) < 1:
        raise SpecError(f"token_ratio {run.token_ratio:g} of {run.tokens} tokens leaves no hidden layer over them")
    if round(run.gating_ratio * run.dim) < 1:
        raise SpecError(f"gating_ratio {run.gating_ratio:g} of dim {run.dim} leaves no gate; wanted is 1 or more wide")


def _check_pictures(run: Run) -> None:
    if run.mixes and run.batch_size % 2:
        raise SpecError(f"batch_size is {run.batch_size}; Mixup and CutMix pair pictures and want an even number")
    if run.crop_padding and run.crop_min_area < 1:
        raise SpecError(
            f"crop_padding is {run.crop_padding} and crop_min_area {run.crop_min_area:g}; wanted is one kind of crop"
        )


def _check_conv_stem(run: Run) -> None:
    halvings = run.patch_size.bit_length() - 1
    if run.patch_size < 2 or run.patch_size != 2**halvings:
        raise SpecError(f"patch_size is {run.patch_size}; stem 'conv' halves the picture and wants a power of 2")
    if run.dim % 2 ** (halvings - 1):
        raise SpecError(
            f"dim is {run.dim}; stem 'conv' with patch_size {run.patch_size} halves it {halvings - 1} times"
        )


def differences(one: Run, other: Run) -> dict[str, tuple[Any, Any]]:
    """The fields in which two runs differ, each with both values."""
    pairs = zip(one.to_dict().items(), other.to_dict().values(), strict=True)
    return {name: (mine, yours) for (name, mine), yours in pairs if mine != yours}
