"""Every variant against the control, over seeds and over pictures, and how the tables of it read."""

from __future__ import annotations

import base64
import math

import pandas as pd
import pytest
from scipy import stats

from ablate.results import formats
from ablate.results.contrasts import IMAGES, SEEDS, over_images, over_seeds
from ablate.results.formats import contrasts as sheets
from ablate.results.table import study_frame
from ablate.store.records import Record
from ablate.study.study import Scale, Study
from tests.tiny import TINY, record_of

FIELDS = {name: value for name, value in TINY.to_dict().items() if name not in ("seed", "mixer")}
STUDY = Study(
    question="Which?", axes={"mixer": ["attention", "patch_ff", "none", "pool"]}, scales={"small": Scale(FIELDS)}
)
TOP1 = {
    "attention": [80.0, 81.0, 82.5],
    "patch_ff": [79.0, 79.8, 81.8],
    "none": [60.0, 64.0, 59.0],
    "pool": [70.0],
}


def runs(top1: dict[str, list[float]] = TOP1) -> pd.DataFrame:
    found = [
        record_of(TINY.replace(mixer=m, seed=s), top1=v) for m, values in top1.items() for s, v in enumerate(values)
    ]
    return study_frame(STUDY, "small", found)


def test_every_variant_but_the_control_has_its_row() -> None:
    found = over_seeds(runs())
    assert list(found) == list(SEEDS)
    assert list(found["variant"]) == ["patch_ff", "none", "pool"]
    assert list(found["n"]) == [3, 3, 1]


def test_a_row_holds_both_tests() -> None:
    row = over_seeds(runs()).set_index("variant").loc["none"]
    by_pair = stats.ttest_rel(TOP1["none"], TOP1["attention"])
    apart = stats.ttest_ind(TOP1["none"], TOP1["attention"], equal_var=False)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(by_pair.confidence_interval()))
    assert (row["welch_low"], row["welch_high"]) == pytest.approx(tuple(apart.confidence_interval()))
    assert row["p"] == pytest.approx(by_pair.pvalue)
    assert row["difference"] == pytest.approx(row["welch"])


def test_holm_counts_the_variants_that_have_a_p() -> None:
    found = over_seeds(runs()).set_index("variant")
    low, high = sorted(found["p"].dropna())
    assert sorted(found["p_holm"].dropna()) == pytest.approx([2 * low, max(2 * low, high)])


def test_one_pair_says_a_difference_and_no_more() -> None:
    row = over_seeds(runs()).set_index("variant").loc["pool"]
    assert row["difference"] == -10.0
    assert row.drop(["n", "difference", "welch"]).isna().all()
    assert row["welch"] == pytest.approx(70 - 81.1666, abs=1e-3), "of the means of all seeds"


@pytest.mark.parametrize("top1", [{}, {"attention": [80.0]}, {"none": [60.0]}])
def test_without_runs_nothing_is_said(top1: dict[str, list[float]]) -> None:
    found = over_seeds(runs(top1))
    assert list(found["n"]) == [0, 0, 0]
    assert found["difference"].isna().all()
    assert "–" in formats.render(sheets.over_seeds(found, "attention"), "text")


def test_the_seeds_a_point_needs() -> None:
    found = over_seeds(runs()).set_index("variant")
    assert found.loc["patch_ff", "seeds_needed"] < found.loc["none", "seeds_needed"]
    wide = over_seeds(runs({"attention": [10.0, 90.0], "none": [90.0, 10.0]}))
    assert math.isnan(wide.set_index("variant").loc["none", "seeds_needed"])
    assert ">1,000" in formats.render(sheets.over_seeds(wide, "attention"), "text")


@pytest.mark.parametrize("style", formats.FORMATS)
def test_the_statistics_in_every_format(style: str) -> None:
    text = formats.render(sheets.over_seeds(over_seeds(runs()), "attention"), style).replace("\\_", "_")
    assert all(name in text for name in ("patch_ff", "none", "pool"))


def outcome(*right: int, mixer: str, seed: int = 0, fingerprint: str = "f" * 16) -> tuple[str, Record]:
    bits = base64.b64encode(bytes([sum(1 << (7 - at) for at in right)])).decode()
    return mixer, record_of(TINY.replace(mixer=mixer, seed=seed), fingerprint=fingerprint, correct=bits)


def test_pictures_are_compared_seed_by_seed() -> None:
    found = over_images(
        [
            outcome(0, 1, 2, 3, mixer="attention"),
            outcome(0, 1, mixer="attention", seed=1),
            outcome(0, 4, mixer="none"),
            outcome(0, 1, 2, mixer="none", seed=1),
            outcome(0, mixer="none", seed=2),
        ],
        "attention",
    )
    assert list(found) == list(IMAGES)
    assert found[["seed", "n", "only_variant", "only_control"]].values.tolist() == [[0, 8, 1, 3], [1, 8, 1, 0]]
    assert found["difference"].tolist() == [-25.0, 12.5]


def test_the_same_records_give_the_same_table() -> None:
    found = [outcome(0, 1, 2, mixer="attention"), outcome(0, 3, mixer="none")]
    pd.testing.assert_frame_equal(over_images(found, "attention"), over_images(found, "attention"))


def test_another_variant_moves_no_interval() -> None:
    control, mine = outcome(0, 1, 2, 5, mixer="attention"), outcome(0, 3, 5, 6, mixer="none")
    alone = over_images([control, mine], "attention")
    beside = over_images([control, outcome(0, 4, 7, mixer="pool"), mine], "attention")
    pd.testing.assert_frame_equal(alone, beside[beside["variant"] == "none"].reset_index(drop=True))


def test_what_cannot_be_compared_says_why() -> None:
    control = outcome(0, mixer="attention")
    other_data = outcome(0, mixer="none", fingerprint="0" * 16)
    without = ("pool", record_of(TINY.replace(mixer="pool"), fingerprint="f" * 16, correct=""))
    found = over_images([control, other_data, without], "attention")
    assert list(found["why"]) == ["different data", "not recorded"]
    text = formats.render(sheets.over_images(found, "attention"), "text")
    assert "different data" in text
    assert "this pair of trained models, not about the method" in " ".join(text.split())


def test_no_pair_no_row() -> None:
    assert over_images([outcome(0, mixer="none")], "attention").empty
    assert formats.render(sheets.over_images(over_images([], "attention"), "attention"), "md")
