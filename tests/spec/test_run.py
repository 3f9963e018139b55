"""Run: what its key depends on, and the messages for invalid values."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ablate.data.datasets import digits
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.run import ADDED_LATER, Run, differences
from tests.tiny import PARTS, TINY

BASE = Run(pool="avg")

# Written out, not taken from a recipe: a recipe may be tuned, but a key must not change.
DIGITS_AT_FIRST_RELEASE: dict[str, Any] = {
    "dataset": "digits_shifted",
    "image_size": 16,
    "holdout": 0.2,
    "patch_size": 4,
    "dim": 64,
    "depth": 4,
    "heads": 4,
    "mlp_ratio": 2.0,
    "token_ratio": 4.0,
    "lr": 2e-3,
    "weight_decay": 0.05,
    "batch_size": 64,
    "epochs": 40,
    "warmup_epochs": 4,
    "smoothing": 0.1,
    "pool": "avg",
}

# If this fails, keys have changed and no existing record is found any more. Never renew the values. Add a new field of
# Run to ADDED_LATER, with the value that means the behaviour before it. Raise the BEHAVIOUR of a part whose results
# change.
GOLDEN = {
    "32bc8a10ce": Run(),
    "bcbcdd0f09": TINY,
    "b13c2d6585": Run(**DIGITS_AT_FIRST_RELEASE, mixer="attention"),
    "69767aa8c1": Run(**DIGITS_AT_FIRST_RELEASE, mixer="patch_ff"),
    "fe3b858012": Run(**DIGITS_AT_FIRST_RELEASE, mixer="none"),
    "d77281cbcd": Run(
        dataset="imagenet",
        image_size=224,
        crop_min_area=0.08,
        hflip=0.5,
        eval_crop=0.875,
        batch_size=1024,
        epochs=300,
        warmup_epochs=5,
        lr=1e-3,
        seed=2,
    ),
    "0f1fef583e": Run(mixer="patch_ff", order="channel_first", token_norm="token", cls_init=0.02, decay_pos_embed=True),
    "78503da9a6": Run(channel="attention", channel_norm="token", pos_embed="none"),
    "4935dfb389": Run(**DIGITS_AT_FIRST_RELEASE, mixer="patch_ff", token_hidden=64, stem="frozen", pos_embed="sincos"),
    "7024490941": Run(**DIGITS_AT_FIRST_RELEASE, channel="none", stem="conv"),
    "939cb388d3": Run(
        **DIGITS_AT_FIRST_RELEASE, mixer="gating", gating_ratio=2.0, channel="attention", channel_heads=4
    ),
}

# For each field, a valid value other than that of BASE.
OTHER: dict[str, Any] = {
    "mixer": "patch_ff",
    "token_ratio": 2.0,
    "token_hidden": 8,
    "gating_ratio": 2.0,
    "token_norm": "token",
    "channel": "attention",
    "channel_norm": "token",
    "channel_heads": 4,
    "order": "channel_first",
    "stem": "frozen",
    "pos_embed": "sincos",
    "cls_init": 0.02,
    "decay_pos_embed": True,
    "patch_size": 4,
    "dim": 96,
    "depth": 2,
    "heads": 6,
    "mlp_ratio": 2.0,
    "pool": "cls",
    "norm_before_pool": False,
    "drop": 0.1,
    "drop_path": 0.1,
    "dataset": "digits",
    "image_size": 32,
    "holdout": 0.2,
    "loader": "workers",
    "exif_transpose": True,
    "crop_padding": 4,
    "crop_min_area": 0.5,
    "hflip": 0.5,
    "color_jitter": 0.3,
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "random_erasing": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mix_switch": 0.3,
    "repeats": 3,
    "train_fraction": 0.5,
    "eval_crop": 0.875,
    "opt": "sgd",
    "lr": 2e-3,
    "weight_decay": 0.0,
    "batch_size": 32,
    "epochs": 31,
    "warmup_epochs": 2,
    "warmup_lr": 1e-5,
    "min_lr": 0.0,
    "smoothing": 0.1,
    "clip_grad": 1.0,
    "ema": 0.99996,
    "precision": "bf16",
    "seed": 1,
}


def other_values() -> dict[str, Any]:
    """Return OTHER, and another value for each numeric or bool field missing from it."""
    unlisted = {item.name: item.default for item in dataclasses.fields(Run) if item.name not in OTHER}
    return OTHER | {n: not v if isinstance(v, bool) else v + 1 for n, v in unlisted.items() if not isinstance(v, str)}


@pytest.mark.parametrize("key", GOLDEN)
def test_golden_keys(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields alone enter these keys; `test_keys` covers the behaviour numbers, which may change keys."""
    monkeypatch.setattr("ablate.spec.run.behaviours", lambda _: {})
    assert GOLDEN[key].replace().key == key, "keys must never change: see the comment on GOLDEN"


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Run)])
def test_every_field_changes_the_key(name: str) -> None:
    assert name in other_values(), f"add another valid value of {name} to OTHER"
    changed = BASE.replace(**{name: other_values()[name]})
    assert changed.key != BASE.key
    assert set(differences(BASE, changed)) == {name}


def test_keys_differ_between_all_those_changes() -> None:
    keys = [BASE.replace(**{name: value}).key for name, value in OTHER.items()]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 10 and set(key) <= set("0123456789abcdef") for key in keys)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("mlp_ratio", 2, 2.0),
        ("epochs", 31.0, 31),
        ("epochs", np.int64(31), 31),
        ("dim", np.float64(96), 96),
        ("lr", np.float64(2e-3), 2e-3),
        ("drop", -0.0, 0.0),
        ("norm_before_pool", np.bool_(False), False),
        ("mixer", np.str_("none"), "none"),
    ],
)
def test_equal_values_of_other_types_give_the_same_run(name: str, given: Any, expected: Any) -> None:
    one, other = BASE.replace(**{name: given}), BASE.replace(**{name: expected})
    assert type(getattr(one, name)) is type(expected) or isinstance(getattr(one, name), str)
    assert one == other
    assert one.key == other.key


def test_a_run_is_equal_after_a_round_trip_and_hashable() -> None:
    for run in GOLDEN.values():
        assert Run.from_dict(run.to_dict()) == run
        assert Run.from_dict(run.to_dict()).key == run.key
    assert len({*GOLDEN.values(), Run()}) == len(GOLDEN)


def test_a_changed_run_has_its_own_key() -> None:
    """The key is cached: a changed run must not inherit it."""
    assert BASE.key != BASE.replace(seed=1).key
    assert BASE.replace(seed=1).replace(seed=0).key == BASE.key


def test_a_field_added_later_stays_out_of_the_key_at_its_old_value(monkeypatch: pytest.MonkeyPatch) -> None:
    before = BASE.replace().key
    monkeypatch.setattr("ablate.spec.run.ADDED_LATER", {"smoothing": 0.0})
    as_before, changed = BASE.replace(seed=0), BASE.replace(smoothing=0.2)
    without = {name: value for name, value in BASE.to_dict().items() if name != "smoothing"}
    assert as_before.key != before, "the field is not in the key, so the text differs"
    assert Run.from_dict(without).key == as_before.key
    assert changed.key not in (before, as_before.key)


def test_old_values_of_later_fields_are_their_defaults() -> None:
    assert Run.from_dict(dict(ADDED_LATER)) == Run()
    assert set(ADDED_LATER) <= set(BASE.to_dict())


@pytest.mark.parametrize("name", ADDED_LATER)
def test_a_later_field_written_out_at_its_old_value_changes_no_key(name: str) -> None:
    for run in GOLDEN.values():
        if getattr(run, name) == ADDED_LATER[name]:
            assert run.replace(**{name: ADDED_LATER[name]}).key == run.key
            without = {field: value for field, value in run.to_dict().items() if field != name}
            assert Run.from_dict(without).key == run.key, "a record older than the field"


WRONG: list[tuple[str, Any, str]] = [
    # field, value, part of the message
    ("epochs", True, "epochs must be a whole number, got True"),
    ("epochs", 1.5, "epochs must be a whole number, got 1.5"),
    ("epochs", "30", "epochs must be a whole number, got '30'"),
    ("epochs", 0, "epochs must be positive, got 0"),
    ("epochs", -3, "epochs must be positive, got -3"),
    ("epochs", float("nan"), "epochs must be a finite number below 2**63, got nan"),
    ("epochs", float("inf"), "epochs must be a finite number below 2**63, got inf"),
    ("seed", -1, "seed must be 0 or more, got -1"),
    ("seed", 2**64, "seed must be a finite number below 2**63, got 18446744073709551616"),
    ("lr", "0.1", "lr must be a number, got '0.1'"),
    ("lr", None, "lr must be a number, got None"),
    ("lr", False, "lr must be a number, got False"),
    ("lr", float("nan"), "lr must be a finite number below 2**63, got nan"),
    ("lr", float("inf"), "lr must be a finite number below 2**63, got inf"),
    ("lr", 10**400, "lr must be a finite number below 2**63, got 1000"),
    ("lr", 0.0, "lr must be positive, got 0.0"),
    ("lr", [0.1, 0.2], "lr must be a number, got [0.1, 0.2]"),
    ("lr", np.array([0.1, 0.2]), "lr must be a number, got array([0.1, 0.2])"),
    ("lr", Fraction(1, 2), "lr must be a number, got Fraction(1, 2)"),
    ("drop", 1.0, "drop must be at least 0 and below 1, got 1.0"),
    ("drop_path", -0.1, "drop_path must be at least 0 and below 1, got -0.1"),
    ("hflip", 1.1, "hflip must be between 0 and 1, got 1.1"),
    ("crop_min_area", 0.0, "crop_min_area must be above 0 and at most 1, got 0.0"),
    ("weight_decay", -0.1, "weight_decay must be 0 or more, got -0.1"),
    ("norm_before_pool", 1, "norm_before_pool must be true or false, got 1"),
    ("mixer", None, "mixer must be text, in quotes, got None"),
    ("mixer", "atention", "unknown mixer 'atention': did you mean 'attention'? known are"),
    ("channel", "fff", "unknown channel 'fff': did you mean 'ff'? known are attention, ff, none"),
    ("stem", "cnov", "unknown stem 'cnov': did you mean 'conv'? known are conv, frozen, patchify"),
    ("order", "tokens_first", "order must be one of channel_first, token_first, got 'tokens_first'"),
    ("token_norm", "batch", "token_norm must be one of channel, token, got 'batch'"),
    ("channel_norm", "none", "channel_norm must be one of channel, token, got 'none'"),
    ("channel_heads", 0, "channel_heads must be positive, got 0"),
    ("pos_embed", "rope", "pos_embed must be one of learned, none, sincos, got 'rope'"),
    ("cls_init", -1e-6, "cls_init must be 0 or more, got -1e-06"),
    ("decay_pos_embed", 1, "decay_pos_embed must be true or false, got 1"),
    ("token_hidden", -1, "token_hidden must be 0 or more, got -1"),
    ("token_hidden", 2.5, "token_hidden must be a whole number, got 2.5"),
    ("token_ratio", 0.1, "token_ratio 0.1 of 1 tokens leaves no hidden layer; increase it"),
    ("gating_ratio", 0.0, "gating_ratio must be positive, got 0.0"),
    ("gating_ratio", 0.001, "gating_ratio 0.001 of dim 192 leaves no gate; increase it"),
    ("mlp_ratio", 0.001, "mlp_ratio 0.001 of dim 192 leaves no hidden layer; increase it"),
    ("pool", "max", "pool must be one of avg, cls, got 'max'"),
    ("opt", "adam", "opt must be one of adamw, sgd, got 'adam'"),
    ("precision", "fp8", "precision must be one of bf16, fp16, fp32, got 'fp8'"),
    ("loader", "dali", "loader must be one of auto, resident, workers, got 'dali'"),
    (
        "auto_augment",
        "rand",
        "auto_augment must be '' or RandAugment in timm's notation, such as 'rand-m9-mstd0.5-inc1', got 'rand'",
    ),
    ("mixup", -0.1, "mixup must be 0 or more, got -0.1"),
    ("repeats", 0, "repeats must be positive, got 0"),
    ("train_fraction", 0.0, "train_fraction must be above 0 and at most 1, got 0.0"),
    ("train_fraction", 1.5, "train_fraction must be above 0 and at most 1, got 1.5"),
    ("ema", 1.0, "ema must be at least 0 and below 1, got 1.0"),
    ("dataset", "../etc", "dataset must be letters, digits, '_', '.' and '-', got '../etc'"),
    ("dataset", "_imagefolder", "dataset must be letters, digits, '_', '.' and '-', got '_imagefolder'"),
    ("dataset", "", "dataset must be letters, digits, '_', '.' and '-', got ''"),
    ("patch_size", 5, "patch_size must divide image_size, which is 16, got 5"),
    ("patch_size", 32, "patch_size must divide image_size, which is 16, got 32"),
    ("heads", 5, "heads must divide dim, which is 192, got 5"),
    ("warmup_epochs", 30, "warmup_epochs must be below epochs, which is 30, got 30"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG, ids=[f"{n}-{str(v)[:12]}" for n, v, _ in WRONG])
def test_the_message_for_an_invalid_value(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        BASE.replace(**{name: value})
    assert sentence in str(error.value)
    assert name in str(error.value)


def test_a_norm_after_the_pooling_is_refused_where_it_has_no_effect() -> None:
    with pytest.raises(SpecError, match=r"norm_before_pool must be True with pool 'cls'.*or set pool to 'avg'"):
        Run(pool="cls", norm_before_pool=False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mixer": "none", "channel": "none"}, "mixer and channel are both 'none', which leaves an empty block"),
        ({"channel": "attention", "channel_heads": 2}, "channel_heads must divide the 1 tokens, got 2"),
        ({"pos_embed": "sincos", "dim": 6}, "dim must be a multiple of 4 with pos_embed 'sincos', got 6"),
        ({"stem": "conv", "patch_size": 1}, "patch_size must be a power of 2 with stem 'conv', got 1"),
        ({"mixup": 0.8, "batch_size": 63}, "batch_size must be even, since Mixup and CutMix pair images, got 63"),
        (
            {"crop_padding": 2, "crop_min_area": 0.5},
            "only one kind of random crop is possible, got crop_padding 2 and crop_min_area 0.5",
        ),
        ({"stem": "conv", "dim": 12}, "dim must be divisible by 8 with stem 'conv' and patch_size 16, got 12"),
    ],
    ids=str,
)
def test_inconsistent_fields_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        BASE.replace(**changes)
    assert sentence in str(error.value)


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_read() -> None:
    digits.check(TINY.replace(batch_size=1149))
    with pytest.raises(
        SpecError, match="batch_size must be at most 1149, the training images of digits_shifted, got 1150"
    ):
        digits.check(TINY.replace(batch_size=1150))


@pytest.mark.parametrize("how", [lambda: BASE.replace(depht=2), lambda: Run.from_dict({"depht": 2})])
def test_an_unknown_field_suggests_the_most_similar(how: Any) -> None:
    with pytest.raises(SpecError, match="unknown field 'depht': did you mean 'depth'"):
        how()


def test_a_run_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.seed = 1  # type: ignore[misc]


def test_differences_name_fields_with_both_values() -> None:
    assert differences(BASE, BASE) == {}
    assert differences(BASE, BASE.replace(seed=3, dim=96)) == {"dim": (192, 96), "seed": (0, 3)}


def test_every_field_has_a_meaning() -> None:
    for item in dataclasses.fields(Run):
        assert len(item.metadata["meaning"]) > 5, item.name


@pytest.mark.parametrize(("slot", "name"), PARTS)
def test_every_registered_name_is_valid(slot: str, name: str) -> None:
    part = {slot: name}
    assert len({Run(**part, dataset=dataset).key for dataset in [*DATASETS, "mine"]}) == len(DATASETS) + 1


@pytest.mark.parametrize("changes", [{}, {"mixer": "none"}, {"seed": 5}])
def test_keys_of_many_seeds_are_those_of_each(changes: dict[str, Any]) -> None:
    run = TINY.replace(**changes)
    assert run.keys([0, 1, 12, 2**62]) == [run.replace(seed=seed).key for seed in (0, 1, 12, 2**62)]
