"""Measurements as a frame: a study's variants in its order, comparators beside, and joined to a table."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from ablate.measure import frames as speed_frames
from ablate.measure import record as speed_record
from ablate.measure.protocol import matrix
from ablate.measure.subjects import Subject, of_study, of_timm
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.study import Scale, Study
from tests.measure.fake import PROVENANCE, measured, measurement
from tests.tiny import TINY

STUDY = Study(
    question="Is it fast?",
    axes={"mixer": ["attention", "patch_ff"], "lr": [0.001, 0.01]},
    scales={"tiny": Scale({name: value for name, value in TINY.to_dict().items() if name != "seed"})},
)
ATTENTION, PATCH_FF = of_study(STUDY)
(RESMLP,) = of_timm(["resmlp_12_224"])
MODE = "fp32-eager-nchw-inference"
OTHER = Subject("another", TINY.replace(dim=32), "", 1, 10)


@pytest.fixture
def results(root: Root) -> Path:
    """Two modes of the study's models, a comparator, one model of some other study, and one rung out of memory."""
    folder = root.results / "speed" / "a-cpu"
    members = [one.key for one in (ATTENTION, PATCH_FF, RESMLP)]
    session = {"id": "s", "control": ATTENTION.key, "members": members, "drift": -0.05, "load": [0.1], "finished": None}
    for mode in ("fp32-eager-nchw-inference", "bf16-compile-nchw-training"):
        for subject, rate in ((PATCH_FF, 200.0), (ATTENTION, 100.0), (RESMLP, 50.0), (OTHER, 1.0)):
            mine = [session] if subject is not OTHER else [session | {"members": [OTHER.key]}]
            speed_record.write(folder, measurement(subject, [rate, rate * 1.01, rate * 1.02], mode, sessions=mine))
    speed_record.write(
        folder, measurement(ATTENTION, [], batch=1024, status=speed_record.OUT_OF_MEMORY, peak_memory_mib=None)
    )
    return root.results


def results_of_one(root: Root) -> Path:
    """A root with one measurement."""
    other = Root.at(root.path / "other")
    speed_record.write(other.results / "speed" / "a-cpu", measurement(ATTENTION, [1.0]))
    return other.path


def test_a_study_s_variants_come_in_its_order_and_comparators_last(results: Path) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    assert list(table["variant"].cat.categories) == ["attention", "patch_ff", "attention, lr=0.01", "resmlp_12_224"]
    assert len(table) == 2 * 4 + 2, "lr changes no model: that variant has the control's measurements, rung included"
    assert set(table.columns) >= {
        "variant", "mixer", "device", "mode", "batch", "images_per_s", "images_per_s_low", "images_per_s_high",
        "memory_mib", "macs", "tokens", "patch_size", "image_size", "depth", "dim",
    }  # fmt: skip


def test_a_row_says_its_mode_and_device(results: Path) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    row = table[(table["variant"] == "patch_ff") & (table["dtype"] == "bf16")].iloc[0]
    assert row["mode"] == "training, bfloat16, compiled"
    assert row["device"] == "A CPU, 1 thread, torch 2.0"
    assert row["images_per_s"] == pytest.approx(202)
    assert row["images_per_s_low"] < row["images_per_s"] < row["images_per_s_high"]
    assert row["drifted"]


def test_out_of_memory_is_a_row_without_a_rate(results: Path) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    full = table[(table["batch"] == 1024) & (table["variant"] == "attention")]
    assert full["status"].tolist() == ["out of memory"]
    assert full["images_per_s"].isna().all()


def test_without_a_study_everything_is_there(results: Path) -> None:
    table = speed_frames.frame(results.parent)
    assert set(table["variant"]) == {"attention", "patch_ff", "resmlp_12_224", "another"}
    assert len(table) == 9


def test_where_nothing_was_measured_the_columns_are_there(root: Root) -> None:
    table = speed_frames.frame(root, STUDY)
    assert table.empty
    assert list(table["variant"].cat.categories) == ["attention", "patch_ff", "attention, lr=0.01"]
    assert set(table.columns) == set(speed_frames.frame(results_of_one(root), STUDY).columns)
    assert speed_frames.at_reference_batch(table).empty
    joined = speed_frames.join(pd.DataFrame({"variant": ["attention"]}), table, "bf16-compile-nchw-training")
    assert joined["throughput"].isna().all()


@pytest.mark.parametrize("mode", ["bf16-compile-nchw-training", "training, bfloat16, compiled"])
def test_joined_to_a_table_one_mode_is_marked(results: Path, mode: str) -> None:
    runs = pd.DataFrame({"variant": ["patch_ff", "attention", "none"]}, index=[7, 8, 9])
    joined = speed_frames.join(runs, speed_frames.frame(results.parent, STUDY), mode)
    assert joined.index.tolist() == [7, 8, 9]
    assert joined["throughput"].tolist()[:2] == pytest.approx([202, 101])
    assert joined["throughput"].isna().tolist() == [False, False, True]
    assert joined.loc[7, ["speed_mode", "speed_batch"]].tolist() == ["training, bfloat16, compiled", 64]


def test_two_devices_never_share_a_column(results: Path) -> None:
    there = PROVENANCE | {"device": "A GPU", "device_type": "cuda"}
    speed_record.write(results / "speed" / "a-gpu", measurement(ATTENTION, [9.0], provenance=there))
    table = speed_frames.frame(results.parent, STUDY)
    runs = pd.DataFrame({"variant": ["attention"]})
    mode = str(matrix("fp32-eager-inference")[0])
    with pytest.raises(SpecError, match=r"device must be one of A CPU.*; A GPU"):
        speed_frames.join(runs, table, mode)
    assert speed_frames.join(runs, table, mode, "A GPU, torch 2.0")["throughput"].tolist() == [9.0]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("bf16-compiled-nchw-training", "did you mean 'bf16-compile-nchw-training'? known are bf16-compile-nchw-tr"),
        ("training, bfloat16, compild", "did you mean 'training, bfloat16, compiled'? known are inference, float32"),
        ("bf16", "unknown mode 'bf16'"),
    ],
)
def test_a_misspelt_mode_is_told(results: Path, mode: str, told: str) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    with pytest.raises(SpecError, match=re.escape(told)):
        speed_frames.join(pd.DataFrame({"variant": ["attention"]}), table, mode)


def test_a_mode_that_was_not_measured_joins_empty_columns(results: Path) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    joined = speed_frames.join(pd.DataFrame({"variant": ["attention"]}), table, "tf32-eager-nchw-inference")
    assert joined["throughput"].isna().all()


def test_a_misspelt_device_is_told(results: Path) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    runs = pd.DataFrame({"variant": ["attention"]})
    known = "known are A CPU, 1 thread, torch 2.0"
    for device, hint in (("A CPU", ""), ("A CPU, 2 threads, torch 2.0", "did you mean 'A CPU, 1 thread, torch 2.0'? ")):
        with pytest.raises(SpecError, match=re.escape(f"unknown device '{device}': {hint}{known}")):
            speed_frames.join(runs, table, MODE, device)
    with pytest.raises(SpecError, match="unknown device 'A CPU': known are none"):
        speed_frames.chosen(speed_frames.tidy([]), device="A CPU")


def test_rows_are_chosen_by_mode_and_device(results: Path) -> None:
    table = speed_frames.frame(results.parent, STUDY)
    assert speed_frames.chosen(table) is table
    rows = speed_frames.chosen(table, "fp32-eager-nchw-inference", "A CPU, 1 thread, torch 2.0")
    assert set(rows["mode"]) == {"inference, float32, eager"}
    assert rows["variant"].tolist()[0] == "attention"


@pytest.mark.parametrize("folder", ["0-before-the-others", "z-after-the-others"])
def test_of_two_measurements_of_one_thing_the_one_measured_last_is_joined(results: Path, folder: str) -> None:
    later = [{"id": "t", "control": "c", "members": [], "drift": None, "load": [0.1], "finished": None}]
    speed_record.write(results / "speed" / folder, measurement(ATTENTION, [7.0], sessions=later))
    table = speed_frames.frame(results.parent, STUDY)
    assert len(table) == 2 * 4 + 2, "in place of the other, for the two variants of this architecture"
    joined = speed_frames.join(pd.DataFrame({"variant": ["attention"]}), table, MODE)
    assert joined["throughput"].tolist() == [7.0]


def test_of_two_rows_of_a_variant_the_one_measured_last_is_joined() -> None:
    later = [{"id": "t", "control": "c", "members": [], "drift": None, "load": [0.1], "finished": None}]
    one, other = measured(ATTENTION, [7.0], sessions=later), measured(ATTENTION, [9.0])
    for found in ([one, other], [other, one]):
        joined = speed_frames.join(pd.DataFrame({"variant": ["attention"]}), speed_frames.tidy(found), MODE)
        assert joined["throughput"].tolist() == [7.0]
