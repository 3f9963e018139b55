"""Exponents: of made-up times with a known law, with an interval that covers it, beside that of the MACs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.measure import frames as speed_frames
from ablate.measure.frames import Measured
from ablate.measure.subjects import Subject
from ablate.model.cost import macs
from ablate.results.scaling import curves, slope
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from tests.measure.fake import measured
from tests.tiny import TINY

SIDES = (2, 4, 6, 8, 12)
MIXERS = {"attention": {}, "ratio": {"mixer": "patch_ff"}, "fixed": {"mixer": "patch_ff", "token_hidden": 64}}


def run(side: int, **fields: object) -> Run:
    return TINY.replace(image_size=4 * side, patch_size=4, channel="none", **fields)


def table(law: float, *, noise: float = 0.0, over: str = "side") -> pd.DataFrame:
    """Models of several sizes whose time grows with the tokens by a law."""
    draw = np.random.default_rng(0)
    found = []
    for name, fields in MIXERS.items():
        for side in SIDES:
            model = run(side, **fields)
            rate = 1000 / model.tokens**law * float(np.exp(noise * draw.normal()))
            one = measured(Subject(f"{name} {side}", model, "", 1, 10), [rate])
            one.found.subject["macs"] = macs(model, 1, 10)
            found.append(one)
    return speed_frames.tidy(found)


def test_a_law_is_found_for_each_model_by_itself() -> None:
    found = curves(table(2.0))
    assert [curve.names[0] for curve in found] == ["attention 2", "ratio 2", "fixed 2"]
    assert all(curve.sizes == [float(side**2) for side in SIDES] for curve in found)
    assert [curve.time.exponent for curve in found] == pytest.approx([2.0] * 3)


def test_the_macs_of_patch_ff_grow_linearly_with_a_fixed_width_and_quadratically_with_a_ratio() -> None:
    attention, ratio, fixed = curves(table(1.0))
    assert ratio.macs.exponent == pytest.approx(2.0, abs=0.1)
    assert fixed.macs.exponent == pytest.approx(1.0, abs=0.05)
    assert fixed.macs.exponent < attention.macs.exponent < ratio.macs.exponent


def test_the_interval_is_scipy_s_and_covers_the_law() -> None:
    covered = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        sizes = [4.0, 16.0, 64.0, 256.0, 1024.0]
        values = [size**1.5 * float(np.exp(0.1 * draw.normal())) for size in sizes]
        found = slope(sizes, values)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.5 <= found.high
        reference = stats.linregress(np.log(sizes), np.log(values))
        assert found.half == pytest.approx(stats.t.ppf(0.975, 3) * reference.stderr)
    assert 180 <= covered <= 199


def test_two_sizes_have_no_interval() -> None:
    found = slope([1.0, 2.0], [1.0, 4.0])
    assert (found.exponent, found.half, found.low) == (pytest.approx(2.0), None, None)


@pytest.mark.parametrize(("over", "field", "values"), [("depth", "depth", (1, 2, 4)), ("dim", "dim", (16, 32, 64))])
def test_depth_and_width(over: str, field: str, values: tuple[int, ...]) -> None:
    subjects = [Subject(f"{field} {value}", TINY.replace(**{field: value}), "", 1, 10) for value in values]
    found = [measured(subject, [64.0 / value]) for subject, value in zip(subjects, values, strict=True)]
    (curve,) = curves(speed_frames.tidy(found), over)
    assert curve.sizes == [float(value) for value in values]
    assert curve.time.exponent == pytest.approx(1.0)
    assert curve.memory
    assert curve.memory.exponent == pytest.approx(0.0)


def test_over_the_batch_it_is_the_time_of_a_step() -> None:
    subject = Subject("tiny", TINY, "", 1, 10)
    found = [measured(subject, [10.0 * batch**0.5], batch=batch) for batch in (1, 4, 16, 64)]
    (curve,) = curves(speed_frames.tidy(found), "batch")
    assert curve.time.exponent == pytest.approx(0.5)
    assert curve.macs.exponent == pytest.approx(1.0)
    assert curve.batch is None


def test_modes_and_batches_have_curves_of_their_own() -> None:
    found = [
        measured(Subject(str(side), run(side), "", 1, 10), [1.0], mode, batch=batch)
        for side in SIDES
        for mode in ("fp32-eager-nchw-inference", "bf16-eager-nchw-inference")
        for batch in (64, 1)
    ]
    assert len(curves(speed_frames.tidy(found))) == 2
    assert {curve.batch for curve in curves(speed_frames.tidy(found), batch=1)} == {1}


def test_what_has_one_size_has_no_curve() -> None:
    assert curves(speed_frames.tidy([measured(Subject("tiny", TINY, "", 1, 10), [1.0])])) == []
    assert curves(speed_frames.tidy([])) == []


def test_an_unknown_size_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="unknown size 'width'"):
        curves(speed_frames.tidy([]), "width")


def test_a_curve_is_told_in_a_sentence() -> None:
    draw = np.random.default_rng(0)
    found = [
        measured(
            Subject(f"attention, image_size={4 * side}", run(side), "", 1, 10), [1 / side**3 / draw.uniform(1, 1.1)]
        )
        for side in SIDES
    ]
    for one in found:
        one.found.subject["macs"] = one.found.subject["tokens"]
    (curve,) = curves(speed_frames.tidy(found))
    told = curve.sentence()
    assert told.startswith("attention: time grows as tokens^1.5")
    assert "± 0.0" in told
    assert told.endswith(", MACs as tokens^1.00 (5 sizes; inference, float32, eager, batch 64)")
    (short,) = curves(speed_frames.tidy(found[:2]))
    assert "±" not in short.sentence(), "two sizes have no interval"


def test_models_without_a_common_name_are_told_by_both() -> None:
    found = [measured(Subject(name, run(side), "", 1, 10), [1.0 / side]) for name, side in (("a", 2), ("b", 4))]
    (curve,) = curves(speed_frames.tidy(found))
    assert curve.label == "a to b"


def of_widths(*shapes: tuple[int, int], seconds: float = 1.0) -> list[Measured]:
    """Models of some widths and heads, a step of which takes as many seconds as they are wide."""
    return [
        measured(
            Subject(f"dim={dim}, heads={heads}", TINY.replace(dim=dim, heads=heads), "", 1, 10), [1 / dim / seconds]
        )
        for dim, heads in shapes
    ]


def test_over_the_width_heads_of_one_width_are_one_line() -> None:
    (curve,) = curves(speed_frames.tidy(of_widths((16, 1), (32, 2), (64, 4))), "dim")
    assert (curve.sizes, curve.head_width, curve.heads) == ([16.0, 32.0, 64.0], 16, "heads of width 16")
    assert "heads" not in curve.shape
    assert "(3 sizes, heads of width 16; inference, float32, eager, batch 64)" in curve.sentence()


def test_over_the_width_other_heads_are_other_lines() -> None:
    found = of_widths((16, 2), (32, 2), (64, 2)) + of_widths((16, 4), (32, 4), (64, 8), seconds=2.0)
    two, four = curves(speed_frames.tidy(found), "dim")
    assert (two.sizes, two.shape["heads"], two.heads) == ([16.0, 32.0, 64.0], 2, "2 heads")
    assert (four.sizes, four.shape["heads"]) == ([16.0, 32.0], 4)
    assert [two.seconds, four.seconds] == [[16.0, 32.0, 64.0], [32.0, 64.0]], "none is of the other line's model"
    assert ", 2 heads; inference" in two.sentence()
    (one,) = curves(speed_frames.tidy(of_widths((16, 1), (32, 1))), "dim")
    assert one.heads == "1 head"


def test_one_number_of_tokens_by_two_patch_sizes_is_on_two_lines() -> None:
    found = [
        measured(
            Subject(f"{patch} {side}", TINY.replace(patch_size=patch, image_size=patch * side), "", 1, 10), [1 / side]
        )
        for patch in (2, 4)
        for side in (2, 4, 6)
    ]
    lines = curves(speed_frames.tidy(found))
    assert [line.shape["patch_size"] for line in lines] == [2, 4]
    assert [line.sizes for line in lines] == [[4.0, 16.0, 36.0]] * 2
    (one,) = curves(speed_frames.tidy([found[0], found[4], found[2]]))
    assert one.sizes == [4.0, 16.0, 36.0], "each number of tokens once: one line, whatever the patch"


def test_of_two_measurements_of_a_model_the_newest_is_on_the_line() -> None:
    sessions = [{"id": "t", "control": "c", "members": [], "drift": None, "load": [0.1], "finished": None}]
    first, second = of_widths((16, 1), (32, 1))
    (again,) = of_widths((16, 1), seconds=8.0)
    again.found.sessions = sessions
    for order in ([first, again, second], [again, first, second]):
        (curve,) = curves(speed_frames.tidy(order), "dim")
        assert curve.seconds == [128.0, 32.0]


def test_data_of_other_channels_or_classes_have_lines_of_their_own() -> None:
    colour = [measured(Subject(f"colour {side}", run(side), "", 3, 10), [1.0 / side]) for side in SIDES]
    for one in colour:
        one.found.subject["channels"] = 3
    grey = [measured(Subject(f"grey {side}", run(side), "", 1, 10), [1.0 / side]) for side in SIDES]
    assert [curve.inputs for curve in curves(speed_frames.tidy(colour + grey))] == [(3, 10), (1, 10)]
