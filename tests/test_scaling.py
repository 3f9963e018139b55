"""Exponents: of made-up times with a known law, with an interval that covers it, beside that of the MACs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate import speed
from ablate.bench.subjects import Subject
from ablate.complexity import macs
from ablate.registry import SpecError
from ablate.scaling import curves, slope
from ablate.spec import Run
from tests.bench.fake import measured
from tests.tiny import TINY

SIDES = (2, 4, 6, 8, 12)
MIXERS = {"attention": {}, "ratio": {"mixer": "patch_ff"}, "fixed": {"mixer": "patch_ff", "token_hidden": 64}}


def run(side: int, **fields: object) -> Run:
    return TINY.but(image_size=4 * side, patch_size=4, channel="none", **fields)


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
    return speed.tidy(found)


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
    subjects = [Subject(f"{field} {value}", TINY.but(**{field: value}), "", 1, 10) for value in values]
    found = [measured(subject, [64.0 / value]) for subject, value in zip(subjects, values, strict=True)]
    (curve,) = curves(speed.tidy(found), over)
    assert curve.sizes == [float(value) for value in values]
    assert curve.time.exponent == pytest.approx(1.0)
    assert curve.memory
    assert curve.memory.exponent == pytest.approx(0.0)


def test_over_the_batch_it_is_the_time_of_a_step() -> None:
    subject = Subject("tiny", TINY, "", 1, 10)
    found = [measured(subject, [10.0 * batch**0.5], batch=batch) for batch in (1, 4, 16, 64)]
    (curve,) = curves(speed.tidy(found), "batch")
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
    assert len(curves(speed.tidy(found))) == 2
    assert {curve.batch for curve in curves(speed.tidy(found), batch=1)} == {1}


def test_what_has_one_size_has_no_curve() -> None:
    assert curves(speed.tidy([measured(Subject("tiny", TINY, "", 1, 10), [1.0])])) == []
    assert curves(speed.tidy([])) == []


def test_an_unknown_size_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="unknown size 'width'"):
        curves(speed.tidy([]), "width")


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
    (curve,) = curves(speed.tidy(found))
    told = curve.sentence()
    assert told.startswith("attention: time grows as tokens^1.5")
    assert "± 0.0" in told
    assert told.endswith(", MACs as tokens^1.00 (5 sizes; inference, float32, eager, batch 64)")
    (short,) = curves(speed.tidy(found[:2]))
    assert "±" not in short.sentence(), "two sizes have no interval"


def test_models_without_a_common_name_are_told_by_both() -> None:
    found = [measured(Subject(name, run(side), "", 1, 10), [1.0 / side]) for name, side in (("a", 2), ("b", 4))]
    (curve,) = curves(speed.tidy(found))
    assert curve.label == "a to b"
