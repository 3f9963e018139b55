"""One run written out in full: what its key depends on, and how a wrong value is answered."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ablate.data.datasets import digits
from ablate.spec import run as run_module
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run, differences
from tests.tiny import PARTS, TINY

BASE = Run(pool="avg")

# Written out, not taken from a recipe: a recipe may be tuned, a key may not change.
DIGITS_OF_THEN: dict[str, Any] = {
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

# If this fails, keys have changed, and every record anybody has is orphaned. Never renew the values. A new field of
# Run goes into ADDED_LATER with the value that stands for the time before it; a mended piece raises its BEHAVIOUR.
GOLDEN = {
    "32bc8a10ce": Run(),
    "bcbcdd0f09": TINY,
    "b13c2d6585": Run(**DIGITS_OF_THEN, mixer="attention"),
    "69767aa8c1": Run(**DIGITS_OF_THEN, mixer="patch_ff"),
    "fe3b858012": Run(**DIGITS_OF_THEN, mixer="none"),
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
    "4935dfb389": Run(**DIGITS_OF_THEN, mixer="patch_ff", token_hidden=64, stem="frozen", pos_embed="sincos"),
    "7024490941": Run(**DIGITS_OF_THEN, channel="none", stem="conv"),
    "939cb388d3": Run(**DIGITS_OF_THEN, mixer="gating", gating_ratio=2.0, channel="attention", channel_heads=4),
}

# Another legal value than BASE's for each field.
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
    """OTHER, and for a field it does not know yet the nearest thing to another value."""
    unlisted = {item.name: item.default for item in dataclasses.fields(Run) if item.name not in OTHER}
    return OTHER | {n: not v if isinstance(v, bool) else v + 1 for n, v in unlisted.items() if not isinstance(v, str)}


@pytest.mark.parametrize("key", GOLDEN)
def test_golden_keys(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the fields alone; `test_keys` has the behaviour numbers, which are meant to change keys."""
    monkeypatch.setattr(run_module, "behaviours", lambda _: {})
    assert GOLDEN[key].replace().key == key, "keys must never change: see the note at GOLDEN"


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Run)])
def test_every_field_changes_the_key(name: str) -> None:
    assert name in other_values(), f"add another legal value of {name} to OTHER"
    changed = BASE.replace(**{name: other_values()[name]})
    assert changed.key != BASE.key
    assert set(differences(BASE, changed)) == {name}


def test_keys_differ_between_all_those_changes() -> None:
    keys = [BASE.replace(**{name: value}).key for name, value in OTHER.items()]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 10 and set(key) <= set("0123456789abcdef") for key in keys)


@pytest.mark.parametrize(
    ("name", "given", "meant"),
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
def test_equal_values_of_other_types_give_the_same_run(name: str, given: Any, meant: Any) -> None:
    one, other = BASE.replace(**{name: given}), BASE.replace(**{name: meant})
    assert type(getattr(one, name)) is type(meant) or isinstance(getattr(one, name), str)
    assert one == other
    assert one.key == other.key


def test_a_run_survives_being_written_down_and_is_hashable() -> None:
    for run in GOLDEN.values():
        assert Run.from_dict(run.to_dict()) == run
        assert Run.from_dict(run.to_dict()).key == run.key
    assert len({*GOLDEN.values(), Run()}) == len(GOLDEN)


def test_a_key_is_of_the_run_it_is_asked_of() -> None:
    """The key is kept once computed: a changed run must not inherit it."""
    assert BASE.key != BASE.replace(seed=1).key
    assert BASE.replace(seed=1).replace(seed=0).key == BASE.key


def test_a_field_added_later_stays_out_of_the_key_at_its_old_value(monkeypatch: pytest.MonkeyPatch) -> None:
    before = BASE.replace().key
    monkeypatch.setattr(run_module, "ADDED_LATER", {"smoothing": 0.0})
    as_before, changed = BASE.replace(seed=0), BASE.replace(smoothing=0.2)
    without = {name: value for name, value in BASE.to_dict().items() if name != "smoothing"}
    assert as_before.key != before, "the field is out of the key, so it is another text"
    assert Run.from_dict(without).key == as_before.key
    assert changed.key not in (before, as_before.key)


def test_later_fields_hold_legal_values_which_are_their_defaults() -> None:
    assert Run.from_dict(dict(run_module.ADDED_LATER)) == Run()
    assert set(run_module.ADDED_LATER) <= set(BASE.to_dict())


@pytest.mark.parametrize("name", run_module.ADDED_LATER)
def test_a_later_field_written_out_at_its_old_value_changes_no_key(name: str) -> None:
    for run in GOLDEN.values():
        if getattr(run, name) == run_module.ADDED_LATER[name]:
            assert run.replace(**{name: run_module.ADDED_LATER[name]}).key == run.key
            without = {field: value for field, value in run.to_dict().items() if field != name}
            assert Run.from_dict(without).key == run.key, "a record from before the field"


WRONG: list[tuple[str, Any, str]] = [
    # field, what came, what the sentence must hold
    ("epochs", True, "epochs is True; wanted is a whole number"),
    ("epochs", 1.5, "epochs is 1.5; wanted is a whole number"),
    ("epochs", "30", "epochs is '30'; wanted is a whole number"),
    ("epochs", 0, "epochs is 0; wanted is a whole number above 0"),
    ("epochs", -3, "epochs is -3; wanted is a whole number above 0"),
    ("epochs", float("nan"), "epochs is nan; wanted is a finite number"),
    ("epochs", float("inf"), "epochs is inf; wanted is a finite number"),
    ("seed", -1, "seed is -1; wanted is 0 or more"),
    ("seed", 2**64, "seed is 18446744073709551616; wanted is a finite number, below 2**63"),
    ("lr", "0.1", "lr is '0.1'; wanted is a number"),
    ("lr", None, "lr is None; wanted is a number"),
    ("lr", False, "lr is False; wanted is a number"),
    ("lr", float("nan"), "lr is nan; wanted is a finite number"),
    ("lr", float("inf"), "lr is inf; wanted is a finite number"),
    ("lr", 10**400, "wanted is a finite number"),
    ("lr", 0.0, "lr is 0.0; wanted is a number above 0"),
    ("lr", [0.1, 0.2], "lr is [0.1, 0.2]; wanted is a number"),
    ("lr", np.array([0.1, 0.2]), "lr is array([0.1, 0.2]); wanted is a number"),
    ("lr", Fraction(1, 2), "lr is Fraction(1, 2); wanted is a number"),
    ("drop", 1.0, "drop is 1.0; wanted is at least 0 and below 1"),
    ("drop_path", -0.1, "drop_path is -0.1; wanted is at least 0 and below 1"),
    ("hflip", 1.1, "hflip is 1.1; wanted is between 0 and 1"),
    ("crop_min_area", 0.0, "crop_min_area is 0.0; wanted is above 0 and at most 1"),
    ("weight_decay", -0.1, "weight_decay is -0.1; wanted is 0 or more"),
    ("norm_before_pool", 1, "norm_before_pool is 1; wanted is True or False"),
    ("mixer", None, "mixer is None; wanted is a name"),
    ("mixer", "atention", "unknown mixer 'atention': did you mean 'attention'? known are"),
    ("channel", "fff", "unknown channel 'fff': did you mean 'ff'? known are attention, ff, none"),
    ("stem", "cnov", "unknown stem 'cnov': did you mean 'conv'? known are conv, frozen, patchify"),
    ("order", "tokens_first", "order is 'tokens_first'; wanted is one of channel_first, token_first"),
    ("token_norm", "batch", "token_norm is 'batch'; wanted is one of channel, token"),
    ("channel_norm", "none", "channel_norm is 'none'; wanted is one of channel, token"),
    ("channel_heads", 0, "channel_heads is 0; wanted is a whole number above 0"),
    ("pos_embed", "rope", "pos_embed is 'rope'; wanted is one of learned, none, sincos"),
    ("cls_init", -1e-6, "cls_init is -1e-06; wanted is 0 or more"),
    ("decay_pos_embed", 1, "decay_pos_embed is 1; wanted is True or False"),
    ("token_hidden", -1, "token_hidden is -1; wanted is 0 or more"),
    ("token_hidden", 2.5, "token_hidden is 2.5; wanted is a whole number"),
    ("token_ratio", 0.1, "token_ratio 0.1 of 1 tokens leaves no hidden layer over them"),
    ("gating_ratio", 0.0, "gating_ratio is 0.0; wanted is a number above 0"),
    ("gating_ratio", 0.001, "gating_ratio 0.001 of dim 192 leaves no gate; wanted is 1 or more wide"),
    ("mlp_ratio", 0.001, "mlp_ratio 0.001 of dim 192 leaves no hidden layer, wanted is 1 or wider"),
    ("pool", "max", "pool is 'max'; wanted is one of avg, cls"),
    ("opt", "adam", "opt is 'adam'; wanted is one of adamw, sgd"),
    ("precision", "fp8", "precision is 'fp8'; wanted is one of bf16, fp16, fp32"),
    ("loader", "dali", "loader is 'dali'; wanted is one of auto, resident, workers"),
    ("auto_augment", "rand", "auto_augment is 'rand'; wanted is '' or timm's words for RandAugment"),
    ("mixup", -0.1, "mixup is -0.1; wanted is 0 or more"),
    ("repeats", 0, "repeats is 0; wanted is a whole number above 0"),
    ("train_fraction", 0.0, "train_fraction is 0.0; wanted is above 0 and at most 1"),
    ("train_fraction", 1.5, "train_fraction is 1.5; wanted is above 0 and at most 1"),
    ("ema", 1.0, "ema is 1.0; wanted is at least 0 and below 1"),
    ("dataset", "../etc", "dataset is '../etc'; wanted is letters, digits"),
    ("dataset", "_imagefolder", "dataset is '_imagefolder'; wanted is letters"),
    ("dataset", "", "dataset is ''; wanted is letters"),
    ("patch_size", 5, "patch_size 5 does not divide image_size 16"),
    ("patch_size", 32, "patch_size 32 does not divide image_size 16"),
    ("heads", 5, "heads 5 does not divide dim 192"),
    ("warmup_epochs", 30, "warmup_epochs is 30; wanted is fewer than epochs, 30"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG, ids=[f"{n}-{str(v)[:12]}" for n, v, _ in WRONG])
def test_a_wrong_value_is_answered_with_field_what_came_and_what_is_wanted(
    name: str, value: Any, sentence: str
) -> None:
    with pytest.raises(SpecError) as error:
        BASE.replace(**{name: value})
    assert sentence in str(error.value)
    assert name in str(error.value)


def test_a_norm_after_the_pooling_is_refused_where_it_changes_nothing() -> None:
    with pytest.raises(SpecError, match=r"norm_before_pool is False with pool 'cls'.*wanted is pool 'avg'"):
        Run(pool="cls", norm_before_pool=False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mixer": "none", "channel": "none"}, "mixer and channel are both 'none', which leaves nothing in a block"),
        ({"channel": "attention", "channel_heads": 2}, "channel_heads 2 does not divide the 1 tokens"),
        ({"pos_embed": "sincos", "dim": 6}, "dim is 6; pos_embed 'sincos' wants a multiple of 4"),
        ({"stem": "conv", "patch_size": 1}, "patch_size is 1; stem 'conv' halves the picture and wants a power of 2"),
        ({"mixup": 0.8, "batch_size": 63}, "batch_size is 63; Mixup and CutMix pair pictures and want an even number"),
        ({"crop_padding": 2, "crop_min_area": 0.5}, "crop_padding is 2 and crop_min_area 0.5; wanted is one kind"),
        ({"stem": "conv", "dim": 12}, "dim is 12; stem 'conv' with patch_size 16 halves it 3 times"),
    ],
    ids=str,
)
def test_fields_that_do_not_go_together_are_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        BASE.replace(**changes)
    assert sentence in str(error.value)


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_read() -> None:
    digits.check(TINY.replace(batch_size=1149))
    with pytest.raises(SpecError, match="batch_size is 1150; dataset digits_shifted has 1149 pictures to train on"):
        digits.check(TINY.replace(batch_size=1150))


@pytest.mark.parametrize("how", [lambda: BASE.replace(depht=2), lambda: Run.from_dict({"depht": 2})])
def test_an_unknown_field_is_answered_with_the_nearest(how: Any) -> None:
    with pytest.raises(SpecError, match="unknown field 'depht': did you mean 'depth'"):
        how()


def test_a_run_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.seed = 1  # type: ignore[misc]


def test_differences_name_fields_with_both_values() -> None:
    assert differences(BASE, BASE) == {}
    assert differences(BASE, BASE.replace(seed=3, dim=96)) == {"dim": (192, 96), "seed": (0, 3)}


def test_every_field_says_what_it_means() -> None:
    for item in dataclasses.fields(Run):
        assert len(item.metadata["meaning"]) > 5, item.name


@pytest.mark.parametrize(("slot", "name"), PARTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_registered_name_is_legal(slot: str, name: str, dataset: str) -> None:
    part = {slot: name}
    assert Run(**part, dataset=dataset).key != Run(**part, dataset="mine").key


@pytest.mark.parametrize("changes", [{}, {"mixer": "none"}, {"seed": 5}])
def test_keys_of_many_seeds_are_those_of_each(changes: dict[str, Any]) -> None:
    run = TINY.replace(**changes)
    assert run.keys([0, 1, 12, 2**62]) == [run.replace(seed=seed).key for seed in (0, 1, 12, 2**62)]
