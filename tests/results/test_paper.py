"""The paper's table: rows and marks as printed, costs from formulas, and runs and speeds where there are any."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from ablate import frame
from ablate.measure import frames as speed_frames
from ablate.measure.subjects import of_names
from ablate.results import formats
from ablate.results.formats.paper import sheet
from ablate.results.paper import ENTRIES, table
from ablate.spec.recipes import PAPER
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from ablate.study.scales import IMAGENET
from ablate.study.study import Scale, Study
from tests.tiny import record_of

PRINTED = [
    ("Tiny P=16", "ViT", "–"),
    ("Tiny P=16", "DeiT", "72.2"),
    ("Tiny P=16", "FF only", "61.4"),
    ("Base P=16", "ViT", "77.9†"),
    ("Base P=16", "DeiT", "79.9‡"),
    ("Base P=16", "FF only", "74.9"),
    ("Large P=32", "ViT", "71.2†"),
    ("Large P=32", "DeiT", "–"),
    ("Large P=32", "FF only", "71.4§"),
    ("§3.4, Tiny", "Attention only", "28.2¶"),
]


def made(root: Root, study: Study | None = None) -> pd.DataFrame:
    return table(frame(root=root.path), speed_frames.frame(root), study)


def entry(model: str, group: str = "Tiny P=16") -> Run:
    return next(found.run for found in ENTRIES if (found.group, found.model) == (group, model))


def row_of(found: pd.DataFrame, model: str, group: str = "Tiny P=16") -> dict[str, Any]:
    return found.set_index(["group", "model"]).loc[(group, model)].to_dict()


def test_rows_and_numbers_are_as_printed(root: Root) -> None:
    assert [tuple(line[:3]) for line in sheet(made(root)).cells()] == PRINTED


def test_sizes_are_those_of_the_paper_s_models(root: Root) -> None:
    found = made(root).set_index(["group", "model"])[["params", "macs"]]
    assert found.loc[("Tiny P=16", "DeiT")].tolist() == [5_717_416, 1_253_683_200]
    assert found.loc[("Tiny P=16", "FF only")].tolist() == [7_676_332, 1_441_592_832]
    assert found.loc[("Base P=16", "ViT"), "params"] == 86_567_656
    assert found.loc[("Base P=16", "FF only"), "params"] == 61_943_020
    assert found.loc[("Large P=32", "DeiT"), "params"] == 306_535_400
    assert found.loc[("§3.4, Tiny", "Attention only"), "params"] == 4_039_360
    # The released code keeps a 14×14 map of positions for 7×7 patches.
    assert found.loc[("Large P=32", "FF only"), "params"] == 206_363_576 - (14**2 - 7**2) * 1024


@pytest.mark.parametrize("style", formats.FORMATS)
def test_every_format(root: Root, style: str) -> None:
    text = formats.render(sheet(made(root)), style)
    assert all(name in text for name in ("DeiT", "FF only", "Attention"))
    if style not in ("csv", "json"):
        assert "81.8 for Base" in " ".join(text.split()), "a disputed cell is explained under the table"
        assert "after fine-tuning at 384 px" in " ".join(text.split())


def test_a_size_that_is_not_the_released_code_s_is_explained(root: Root) -> None:
    """Ours has positions for 7×7 patches, the released code a 14×14 map of them, which counts otherwise."""
    shown = sheet(made(root))
    params = dict(zip(PRINTED, (line[4] for line in shown.cells()), strict=True))
    assert params["Large P=32", "FF only", "71.4§"] == "206.2 M‖"
    assert sum("‖" in cell for cell in params.values()) == 1
    (note,) = [note for note in shown.notes if note.startswith("‖")]
    assert f"{row_of(made(root), 'FF only', 'Large P=32')['params']:,}" in note
    assert "206,363,576" in note


def test_nothing_measured_is_said(root: Root) -> None:
    cells = sheet(made(root)).cells()
    assert all(line[6] == "not measured" and line[9:] == ["not measured"] * 2 for line in cells)
    assert all(line[8] == "–" for line in cells)


def test_a_rule_stands_between_sizes(root: Root) -> None:
    assert formats.as_latex(sheet(made(root))).count(r"\midrule") == 4


@pytest.fixture
def measured(root: Root) -> Root:
    """Three seeds of FF only, two of DeiT, and runs that are none of the paper's."""
    for seed, value in enumerate([61.0, 62.0, 61.5]):
        records.write(root.results, record_of(entry("FF only").replace(seed=seed), top1=value))
    for seed, value in enumerate([72.0, 72.6]):
        records.write(root.results, record_of(entry("DeiT").replace(seed=seed), top1=value))
    for changes in ({"epochs": 100}, {"dataset": "cifar10"}, {"mixer": "pool"}):
        records.write(root.results, record_of(entry("FF only").replace(**changes), top1=5.0))
    return root


def test_runs_of_the_paper_s_models_count(measured: Root) -> None:
    row = row_of(made(measured), "FF only")
    assert (row["top1"], row["n"]) == (pytest.approx(61.5), 3)
    assert row["top1_high"] - row["top1"] == pytest.approx(4.302653 * 0.5 / 3**0.5)
    assert row["difference"] == pytest.approx(0.1)
    line = sheet(made(measured)).cells()[2]
    assert line[6:9] == ["61.50 ± 1.24", "3", "+0.1"]


def test_deit_s_runs_are_not_vit_s(measured: Root) -> None:
    """The two have one model; only DeiT's recipe can be run here."""
    found = made(measured)
    assert row_of(found, "DeiT")["n"] == 2
    assert row_of(found, "ViT")["n"] == 0


def study(**fields: Any) -> Study:
    """A study named paper, whose runs differ from DeiT's recipe."""
    return Study(
        name="paper",
        question="Which?",
        axes={"model": {"DeiT": {}, "FF only": PAPER["linear_tiny"]}},
        scales={"imagenet": Scale({**IMAGENET.fields, **fields})},
        seeds=3,
    )


def test_a_study_named_paper_provides_the_runs(measured: Root) -> None:
    records.write(measured.results, record_of(entry("FF only").replace(drop=0.1), top1=60.4))
    found = made(measured, study(drop=0.1))
    row = row_of(found, "FF only")
    assert (row["top1"], row["n"], row["wanted"]) == (60.4, 1, 3)
    assert sheet(made(measured, study())).cells()[1][7] == "2/3"


def test_a_model_the_study_lacks_is_still_looked_for(measured: Root) -> None:
    records.write(measured.results, record_of(entry("FF only", "Base P=16"), top1=74.0))
    assert row_of(made(measured, study()), "FF only", "Base P=16")["n"] == 1


def speeds(*rows: tuple[Run, str, str, float]) -> pd.DataFrame:
    """A frame of speed: each a model, a device, a mode, and images/s."""
    return pd.DataFrame(
        [
            {
                "architecture": run.replace(drop=0.0, drop_path=0.0).architecture,
                "device": device,
                "mode": mode,
                "images_per_s": rate,
                "memory_mib": 2 * rate,
                "batch": 256,
                "reference_batch": 256,
                "channels": 3,
                "classes": 1000,
            }
            for run, device, mode, rate in rows
        ]
    )


def test_speeds_are_of_one_device_and_mode(root: Root) -> None:
    ff, deit = entry("FF only"), entry("DeiT")
    found = table(
        frame(root=root.path),
        speeds(
            (ff, "GPU", "a mode", 100.0),
            (deit, "GPU", "a mode", 90.0),
            (entry("FF only", "Base P=16"), "CPU", "b", 1.0),
        ),
    )
    assert row_of(found, "FF only")["images_per_s"] == 100.0
    assert row_of(found, "ViT")["memory_mib"] == 180.0, "speed does not depend on the recipe"
    assert math.isnan(row_of(found, "FF only", "Base P=16")["images_per_s"])
    assert any("GPU; a mode, batch 256" in note for note in sheet(found).notes)


def test_the_models_that_bench_calls_the_papers_are_those_of_the_table() -> None:
    """By the key that a measurement of speed is joined by."""
    benched = {subject.run.architecture for subject in of_names(["paper"]) if subject.run}
    assert benched == {entry.architecture for entry in ENTRIES}


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_narrow_terminal_leaves_out_what_can_be_spared(root: Root, width: int) -> None:
    full = sheet(made(root))
    shown = full.within(width)
    titles = [column.title for column in shown.columns]
    assert "Published top-1 (%)" in titles
    assert "Measured top-1 (%)" in titles
    gone = [column.title for column in full.columns if column.title not in titles]
    assert bool(gone) == (width < full.width())
    assert all(title in shown.notes[-1] for title in gone)
