"""One training run in full: every setting that may change a number, and nothing else.

The fields of `Run` are the axes of a study, the columns of the table and the input of the key. Settings that must not
change the expected result (threads, loader workers, device) are in `ablate.spec.resources.Resources`, outside the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from ablate.spec.checks import (
    at_least,
    auto_augment,
    checked,
    dataset_name,
    fraction,
    not_negative,
    one_of,
    positive,
    positive_to,
    probability,
    share,
    validate,
)
from ablate.spec.consistency import check_consistency
from ablate.spec.errors import unknown
from ablate.spec.parts import CHANNELS, MIXERS, STEMS, behaviours, dataset_file
from ablate.spec.source import optional

# Fields added to `Run` after the first release, each with the value that means the behaviour before it existed. A field
# with that value stays out of the key, so that old records remain valid.
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
    "exif_transpose": False,
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

# Limits that only a mistake exceeds: it is refused before anything is built.
MOST_WIDTH, MOST_BLOCKS, MOST_PIXELS, MOST_RATIO = 65_536, 10_000, 16_384, 1_000
MOST_BATCH, MOST_EPOCHS, MOST_REPEATS = 2**20, 10**6, 1_000

# The parts whose behaviour number belongs to the architecture.
SHAPING_PARTS = ("mixers/", "channels/", "stems/", "block.", "models.")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run. Equal runs have equal keys.

    Raises:
        SpecError: when a value is invalid; the message names the field.
    """

    mixer: str = checked("attention", "token mixer of every block")
    token_ratio: float = checked(
        4.0, "hidden width of patch_ff, as a multiple of the number of tokens", positive_to(MOST_RATIO)
    )
    token_hidden: int = checked(
        0, "hidden width of patch_ff as a fixed number; 0 uses token_ratio", at_least(0, MOST_WIDTH)
    )
    gating_ratio: float = checked(3.0, "width of gMLP's gate, as a multiple of dim", positive_to(MOST_RATIO))
    token_norm: str = checked("channel", "axis of the norm before the token mixer", one_of("channel", "token"))
    channel: str = checked("ff", "channel mixer of every block")
    channel_norm: str = checked("channel", "axis of the norm before the channel mixer", one_of("channel", "token"))
    channel_heads: int = checked(
        1, "heads of attention over channels; must divide the number of tokens", positive_to(MOST_WIDTH)
    )
    order: str = checked("token_first", "which mixer of a block comes first", one_of("channel_first", "token_first"))
    stem: str = checked("patchify", "how patches become tokens")
    pos_embed: str = checked("learned", "position embedding", one_of("learned", "none", "sincos"))
    cls_init: float = checked(1e-6, "initial standard deviation of the class token", not_negative)
    patch_size: int = checked(16, "side of a square patch, in pixels", positive_to(MOST_PIXELS))
    dim: int = checked(192, "embedding width", positive_to(MOST_WIDTH))
    depth: int = checked(12, "number of blocks", positive_to(MOST_BLOCKS))
    heads: int = checked(3, "attention heads", positive_to(MOST_WIDTH))
    mlp_ratio: float = checked(4.0, "hidden width of the channel MLP, as a multiple of dim", positive_to(MOST_RATIO))
    pool: str = checked("cls", "input of the head: the class token or the average of all tokens", one_of("avg", "cls"))
    norm_before_pool: bool = checked(
        True, "apply the last norm before the pooling; after it, the norm would couple the tokens"
    )
    drop: float = checked(
        0.0, "dropout rate, after the position embedding and in the layers that have dropout", fraction
    )
    drop_path: float = checked(0.0, "stochastic depth rate of the last block; it rises linearly from 0", fraction)

    dataset: str = checked("digits_shifted", "name of the dataset", dataset_name)
    image_size: int = checked(16, "side of the square input, in pixels", positive_to(MOST_PIXELS))
    holdout: float = checked(0.0, "fraction of the training part held out for model selection", fraction)
    train_fraction: float = checked(
        1.0, "share of each class to train on, after holdout; the steps per epoch stay the same", share
    )
    loader: str = checked(
        "auto",
        "decode images once and keep them (resident), or when needed (workers)",
        one_of("auto", "resident", "workers"),
    )
    exif_transpose: bool = checked(False, "turn images by their EXIF orientation, which timm ignores")
    crop_padding: int = checked(
        0, "black pixels around an image before a random crop of image_size", at_least(0, MOST_PIXELS)
    )
    crop_min_area: float = checked(1.0, "smallest area of a random resized crop; 1 disables it", share)
    hflip: float = checked(0.0, "probability of a horizontal flip", probability)
    color_jitter: float = checked(
        0.0, "strength of random brightness, contrast and saturation; ignored with auto_augment, as in timm", fraction
    )
    auto_augment: str = checked("", "RandAugment in timm's notation, such as 'rand-m9-mstd0.5-inc1'", auto_augment)
    random_erasing: float = checked(0.0, "probability of filling a rectangle with noise", probability)
    mixup: float = checked(0.0, "alpha of Mixup; 0 disables it", not_negative)
    cutmix: float = checked(0.0, "alpha of CutMix; 0 disables it", not_negative)
    mix_switch: float = checked(0.5, "share of steps that use CutMix when Mixup is on too", probability)
    repeats: int = checked(
        1,
        "augmented copies of each image in an epoch, which then has fewer images (repeated augmentation)",
        positive_to(MOST_REPEATS),
    )
    eval_crop: float = checked(1.0, "centre crop at evaluation, as a fraction of the resized side", share)

    opt: str = checked("adamw", "optimiser, by its name in timm", one_of("adamw", "sgd"))
    lr: float = checked(1e-3, "peak learning rate at this batch size", positive)
    weight_decay: float = checked(0.05, "weight decay; none on biases, norms and embeddings", not_negative)
    decay_pos_embed: bool = checked(False, "decay the position embedding too")
    batch_size: int = checked(64, "global batch size", positive_to(MOST_BATCH))
    epochs: int = checked(30, "passes over the training part", positive_to(MOST_EPOCHS))
    warmup_epochs: int = checked(0, "epochs of linear warm-up", not_negative)
    warmup_lr: float = checked(1e-6, "learning rate at the start of the warm-up", not_negative)
    min_lr: float = checked(1e-5, "learning rate at the end of the cosine schedule", not_negative)
    smoothing: float = checked(0.0, "label smoothing", fraction)
    clip_grad: float = checked(0.0, "largest gradient norm; 0 disables clipping", not_negative)
    ema: float = checked(0.0, "decay of a moving average of the weights, evaluated separately; 0 disables it", fraction)
    precision: str = checked("fp32", "precision of the forward pass", one_of("bf16", "fp16", "fp32"))
    seed: int = checked(0, "seed of all random numbers", not_negative)

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, validate(item, getattr(self, item.name)))
        for registry, name in ((MIXERS, self.mixer), (CHANNELS, self.channel), (STEMS, self.stem)):
            registry.check(name)
        check_consistency(self)

    @property
    def side(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Number of tokens in a block: the patches, and the class token if there is one."""
        return self.side**2 + (self.pool == "cls")

    @property
    def resident(self) -> bool:
        """Whether images are decoded once and kept: as `loader` requests, else as the dataset's file declares."""
        usual = optional(dataset_file(self.dataset), "LOADER", "workers")
        return (usual if self.loader == "auto" else self.loader) == "resident"

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with each other, by Mixup or CutMix."""
        return self.mixup > 0 or self.cutmix > 0

    @cached_property
    def key(self) -> str:
        """Ten hex digits of a sha256 over all fields and the behaviour numbers of the parts they name."""
        return _digest(self._key_text)

    def keys(self, seeds: Iterable[int]) -> list[str]:
        """Return the key of this run for each seed, many times faster than one `Run` per seed."""
        # In JSON, `"seed": ` appears only before its value: inside a string the quotes would be escaped.
        head, tail = (self.replace(seed=0) if self.seed else self)._key_text.split('"seed": 0', 1)
        return [_digest(f'{head}"seed": {seed}{tail}') for seed in seeds]

    @property
    def _key_text(self) -> str:
        return _key_text(self.to_dict(), behaviours(self))

    @cached_property
    def architecture(self) -> str:
        """Ten hex digits over all that shapes the model: equal for runs that differ only in data, recipe or seed."""
        values = {name: value for name, value in self.to_dict().items() if name in SHAPING}
        numbers = {name: number for name, number in behaviours(self).items() if name.startswith(SHAPING_PARTS)}
        return _digest(_key_text(values, numbers))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields with their values, in order, ready for JSON."""
        return {name: getattr(self, name) for name in _NAMES}

    def replace(self, **changes: Any) -> Run:
        """Return a copy with some fields changed."""
        _check_names(changes)
        return replace(self, **changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """Return the run that a mapping of fields describes.

        Raises:
            SpecError: when a field is unknown or its value invalid.
        """
        _check_names(values)
        return cls(**values)


def _key_text(values: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    """Return the text of a digest: the fields, without later ones at their old values, and the behaviour numbers."""
    kept = {k: v for k, v in values.items() if k not in ADDED_LATER or v != ADDED_LATER[k]}
    return json.dumps([kept, numbers], sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


_NAMES = [item.name for item in fields(Run)]
# The fields that shape the model.
SHAPING = frozenset([*_NAMES[: _NAMES.index("drop_path") + 1], "image_size"])


def _check_names(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in _NAMES:
            raise unknown("field", name, _NAMES)


def differences(one: Run, other: Run) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two runs differ, each with both values."""
    pairs = zip(one.to_dict().items(), other.to_dict().values(), strict=True)
    return {name: (mine, yours) for (name, mine), yours in pairs if mine != yours}
