"""Records to a frame, and a frame to a row a variant."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ablate.model.cost import complexity
from ablate.results import table
from ablate.results.table import CONSTANT, SUMMARISED, curves, frame, study_frame, study_records, summarise
from ablate.spec import run as spec
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store import records
from ablate.store import rows as flat
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study.study import Scale, Study
from tests.tiny import TINY, image_folder, record_of

FIELDS = {name: value for name, value in TINY.to_dict().items() if name not in ("seed", "mixer")}
STUDY = Study(
    question="Which?",
    # Not in alphabetical order: the study's own counts.
    axes={"mixer": ["patch_ff", "attention", "none"]},
    scales={"small": Scale(FIELDS), "wide": Scale(FIELDS | {"dim": 32})},
)
TOP1 = {"patch_ff": [50.0, 52.0, 54.0], "attention": [53.0, 54.0, 58.0], "none": [40.0, 40.0, 40.0]}


def of(mixer: str, seed: int) -> Record:
    return record_of(TINY.replace(mixer=mixer, seed=seed), top1=TOP1[mixer][seed], params=len(mixer))


def everything() -> list[Record]:
    return [of(mixer, seed) for seed in (2, 0, 1) for mixer in ("none", "attention", "patch_ff")]


@pytest.fixture
def written(root: Root) -> Root:
    for record in everything():
        records.write(root.results, record)
    records.write(root.results, record_of(TINY.replace(mixer="none", dim=32)))
    return root


def study_of(found: list[Record]) -> pd.DataFrame:
    return study_frame(STUDY, "small", found)


def test_a_frame_of_all_records(written: Root) -> None:
    found = frame(root=written.path)
    assert len(found) == 10
    assert {"key", *TINY.to_dict(), "top1", "params", "macs", "images_per_s", "commit", "version_torch"} <= set(found)
    assert not {"correct", "history", "variant"} & set(found)


def test_a_study_of_speed_alone_has_no_runs_though_another_trained_them(written: Root) -> None:
    alone = dataclasses.replace(STUDY, benchmark_only=True)
    found = frame(alone, root=written.path)
    assert found.empty
    assert list(found["variant"].cat.categories) == list(TOP1)
    assert not study_records(alone, "small", written.results)


def test_a_frame_of_a_study_is_in_its_order(written: Root) -> None:
    found = frame(STUDY, root=written.path)
    assert list(zip(found["variant"], found["seed"], strict=True)) == [
        (mixer, seed) for mixer in ("patch_ff", "attention", "none") for seed in (0, 1, 2)
    ]
    assert list(found["variant"].cat.categories) == ["patch_ff", "attention", "none"]
    assert list(frame(STUDY, "wide", root=written.path)["variant"]) == ["none"]
    assert list(found["mixer"]) == list(found["variant"])


def test_axes_in_words_are_categories_in_the_study_s_order(written: Root, tmp_path: Path) -> None:
    """Numbers stay numbers: a plot over patch sizes needs them, and they have an order of their own."""
    crossed = dataclasses.replace(STUDY, axes={**STUDY.axes, "depth": [2, 1], "norm_before_pool": [True, False]})
    for study in (STUDY, crossed):
        found = frame(study, root=written.path)
        assert list(found["mixer"].cat.categories) == ["patch_ff", "attention", "none"]
        assert found["mixer"].cat.ordered
    assert pd.api.types.is_numeric_dtype(found["depth"])
    assert not isinstance(found["channel"].dtype, pd.CategoricalDtype), "what the study holds fixed has no order"
    table.write(found, tmp_path / "runs.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "runs.parquet"), found)


@pytest.mark.parametrize("given", [{"scale": "small"}, {"seeds": 2}, {"mode": "a mode"}, {"device": "a GPU"}], ids=str)
def test_what_only_a_study_has_is_refused_without_one(written: Root, given: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=f"{next(iter(given))} must be given with a study"):
        frame(root=written.path, **given)


def test_a_device_is_of_a_mode(written: Root) -> None:
    with pytest.raises(SpecError, match="device must be given with a mode, got device 'a GPU' alone"):
        frame(STUDY, root=written.path, device="a GPU")


def test_the_root_may_come_from_the_environment(written: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_ROOT", str(written.path))
    assert len(frame(STUDY)) == 9


def test_a_named_study(written: Root) -> None:
    assert len(frame("quickstart", root=written.path)) == 0


def test_without_records_a_frame_has_its_columns(tmp_path: Path) -> None:
    found = frame(STUDY, root=tmp_path)
    assert len(found) == 0
    assert {"variant", "seed", "top1", "params"} <= set(found)
    assert frame(root=tmp_path).empty


def test_a_trained_record_makes_a_row(trained: Record) -> None:
    row = table.row(trained)
    assert row["top1"] == trained.metrics["top1"]
    without_ema = set(SUMMARISED) - {"ema_top1"}
    assert {*without_ema, *CONSTANT, "fingerprint", "version_torch", "threads", "host"} <= set(row)
    assert all(isinstance(value, str | int | float | bool | None) for value in row.values())


def test_records_from_before_a_raised_behaviour_number_do_not_count(
    written: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the same fields as the new ones: counted in, every variant would have each seed twice."""
    monkeypatch.setattr(spec, "behaviours", lambda run: {"train.py": 2})
    assert study_records(STUDY, "small", written.results) == []
    run = Run.from_dict(TINY.to_dict()).replace(mixer="none")
    records.write(written.results, dataclasses.replace(record_of(run), metrics=of("none", 0).metrics))
    assert [record.key for record in study_records(STUDY, "small", written.results)] == [run.key]


def test_a_field_added_later_is_a_column_of_old_records(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    later = {"smoothing": 0.0}
    for module in (spec, records, flat):
        monkeypatch.setattr(module, "ADDED_LATER", later)
    run = TINY.replace(mixer="none")
    old = {name: value for name, value in run.to_dict().items() if name not in later}
    records.write(root.results, dataclasses.replace(record_of(run), run=old))
    assert list(frame(root=root.path)["smoothing"]) == [0.0]
    assert list(frame(STUDY, root=root.path)["smoothing"]) == [0.0]


def test_a_summary_has_a_row_a_variant_in_order() -> None:
    found = summarise(study_of(everything())).set_index("variant")
    assert list(found.index) == ["patch_ff", "attention", "none"]
    assert list(found["n"]) == list(found["wanted"]) == [3, 3, 3]
    # sd 2, t(0.975, 2) = 4.302653, over √3
    assert found.loc["patch_ff", "top1"] == pytest.approx(52.0)
    assert found.loc["patch_ff", "top1_low"] == pytest.approx(52.0 - 4.968275)
    assert found.loc["patch_ff", "top1_high"] == pytest.approx(52.0 + 4.968275)
    assert list(found["params"]) == [8, 9, 4]
    assert all({name, f"{name}_low", f"{name}_high"} <= set(found) for name in SUMMARISED)


def test_differences_are_to_the_first_variant_seed_by_seed() -> None:
    found = summarise(study_of(everything())).set_index("variant")
    assert math.isnan(found.loc["patch_ff", "difference"]), "the control has none to itself"
    # 3, 2, 4: mean 3, sd 1
    assert found.loc["attention", "difference"] == pytest.approx(3.0)
    assert found.loc["attention", "difference_low"] == pytest.approx(3.0 - 2.484138)


def test_a_variant_equal_to_the_control_differs_by_zero_not_by_nothing() -> None:
    twins = [record_of(TINY.replace(mixer=m, seed=s), top1=TOP1["none"][s]) for m in TOP1 for s in range(3)]
    found = summarise(study_of(twins)).set_index("variant")
    assert math.isnan(found.loc["patch_ff", "difference"])
    assert found.loc["attention", "difference"] == 0.0


def test_missing_seeds_are_counted_and_paired_by_those_that_are_there() -> None:
    kept = [r for r in everything() if (r.run["mixer"], r.run["seed"]) not in [("attention", 0), ("patch_ff", 1)]]
    found = summarise(study_of(kept), wanted=3).set_index("variant")
    assert list(found["n"]) == [2, 2, 3]
    assert list(found["wanted"]) == [3, 3, 3]
    assert found.loc["attention", "top1"] == pytest.approx(56.0)
    assert found.loc["attention", "difference"] == pytest.approx(4.0), "seed 2 alone is in both"
    assert math.isnan(found.loc["attention", "difference_low"])


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = summarise(study_of([of(mixer, 0) for mixer in TOP1]), wanted=3).set_index("variant")
    assert found.loc["none", "top1"] == 40.0
    assert math.isnan(found.loc["none", "top1_low"])
    assert found.loc["none", "difference"] == -10.0


@pytest.mark.parametrize("gone", [["none"], ["patch_ff"], ["patch_ff", "attention", "none"]])
def test_a_variant_without_runs_keeps_its_row(gone: list[str]) -> None:
    found = summarise(study_of([r for r in everything() if r.run["mixer"] not in gone]), wanted=3)
    assert list(found["variant"]) == ["patch_ff", "attention", "none"]
    assert list(found["n"]) == [0 if mixer in gone else 3 for mixer in TOP1]
    without = found[found["variant"].isin(gone)]
    assert without[["top1", "difference"]].isna().all(axis=None)
    if "patch_ff" in gone:
        assert found["difference"].isna().all(), "no control, no difference"


def test_a_variant_without_runs_has_its_sizes_by_formula() -> None:
    variants = STUDY.variants("small")
    formula = complexity(TINY.replace(mixer="none"), 1, 10)
    for found in ([r for r in everything() if r.run["mixer"] != "none"], []):
        row = summarise(study_of(found), variants=variants).set_index("variant").loc["none"]
        assert row[[*CONSTANT]].to_dict() == {name: formula[name] for name in CONSTANT}
        assert math.isnan(row["top1"])
    kept = summarise(study_of(everything()), variants=variants)
    assert list(kept["params"]) == [8, 9, 4], "what is recorded stands"


def test_sizes_for_a_directory_of_images_are_for_its_own_number_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are missing where it is not available, and beside records."""
    study = dataclasses.replace(STUDY, scales={"small": Scale(FIELDS | {"dataset": "mine"})})
    runs = [variant.run for variant in study.variants()]
    one = study_frame(study, "small", [record_of(runs[0])])
    assert summarise(one, variants=study.variants())["params"].isna().tolist() == [False, True, True]
    none = study_frame(study, "small", [])
    assert summarise(none, variants=study.variants())["params"].isna().all()
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path))
    image_folder(tmp_path / "mine", {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1})
    assert list(summarise(none, variants=study.variants())["params"]) == [
        complexity(run, 3, 3)["params"] for run in runs
    ]


def test_what_was_not_measured_is_missing_not_zero() -> None:
    found = summarise(study_of(everything()))
    assert found["peak_memory_mib"].isna().all()
    assert found["heldout_top1"].isna().all()


def test_curves_are_a_row_per_run_and_epoch() -> None:
    found = curves(STUDY, "small", everything())
    assert len(found) == 9 * 2
    assert {"variant", "mixer", "seed", "epoch", "lr", "train_loss"} == set(found)
    assert list(found["variant"].cat.categories) == ["patch_ff", "attention", "none"]
    assert curves(STUDY, "small", []).empty
