"""Claims about speed: judged mode by mode, paired by round, on made-up measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ablate import Claim, Scale, Study, exponent, throughput, top1
from ablate.measure.record import device_folder, write
from ablate.measure.subjects import Subject
from ablate.model.cost import inputs
from ablate.results.table import study_frame
from ablate.results.verdict import Verdict, judge
from ablate.store.root import Root
from ablate.study.claims import Inequality
from tests.measure.fake import measurement
from tests.tiny import TINY

FIELDS = {name: value for name, value in TINY.to_dict().items() if name not in ("seed", "mixer", "patch_size")}
MODES = [f"{dtype}-{how}-nchw-inference" for dtype in ("fp32", "bf16") for how in ("eager", "compile")]
FASTER = throughput(mixer="patch_ff") > throughput(mixer="attention")


def study(holds: Inequality, patches: Sequence[int] = (4,)) -> Study:
    return Study(
        question="Which?",
        axes={"mixer": ["attention", "patch_ff"], "patch_size": list(patches)},
        cross=True,
        scales={"small": Scale(FIELDS)},
        claims=[Claim("so", holds)],
    )


def verdict(root: Root, made: Study) -> Verdict:
    (judged,) = judge(made, "small", study_frame(made, "small", []), root.results)
    return judged


def measure(root: Root, mode: str, rates: Sequence[float], batch: int = 64, **fields: object) -> None:
    """Write a measurement of a model, a rate a round."""
    subject = Subject(str(fields), TINY.replace(**fields), "", *inputs(TINY.dataset))
    found = measurement(subject, rates, mode, batch=batch, peak=None)
    write(root.results / "speed" / device_folder(found.provenance), found)


def measure_ratios(root: Root, *ratios: float) -> None:
    """In some modes, patch FF as many times as fast as attention, which wavers itself by half."""
    for mode, ratio in zip(MODES, ratios, strict=False):
        wavering = [100.0, 150.0, 125.0]
        measure(root, mode, wavering, mixer="attention")
        measure(
            root, mode, [ratio * rate + off for rate, off in zip(wavering, (0, 1, 2), strict=True)], mixer="patch_ff"
        )


@pytest.mark.parametrize(
    ("ratios", "decision", "said"),
    [
        ((1.5, 1.4, 1.3, 2.0), "supported", "of 4 modes, it holds in 4"),
        ((0.5, 0.4), "contradicted", "of 2 modes, it fails in 2"),
        ((1.5, 1.4, 0.5, 1.0), "undecided", "of 4 modes, it holds in 2, it fails in 1, it is undecided in 1"),
    ],
)
def test_a_claim_about_speed_holds_where_it_holds_in_every_mode(
    root: Root, ratios: tuple[float, ...], decision: str, said: str
) -> None:
    measure_ratios(root, *ratios)
    found = verdict(root, study(FASTER))
    assert (found.decision, found.reason) == (decision, said)


def test_one_mode_tells_its_numbers(root: Root) -> None:
    """Paired by round, what moves both does not count: 50 % of 100, 150 and 125, with 0 to 2 added."""
    measure_ratios(root, 1.5)
    found = verdict(root, study(FASTER))
    assert found.decision == "supported"
    assert found.reason.startswith("63.50 ± ")
    assert "in one mode (" in found.reason
    assert found.interval is not None


@pytest.mark.parametrize(
    ("holds", "decision"),
    [
        (throughput(mixer="patch_ff") > 1.2 * throughput(), "supported"),
        (throughput(mixer="patch_ff") > 1.8 * throughput(), "contradicted"),
        (throughput() > 20, "supported"),
        (throughput() < 20, "contradicted"),
    ],
    ids=str,
)
def test_ratios_and_bare_rates(root: Root, holds: Inequality, decision: str) -> None:
    measure_ratios(root, 1.5, 1.5)
    assert verdict(root, study(holds)).decision == decision


@pytest.mark.parametrize("folder", ["0-before-the-others", "z-after-the-others"])
def test_of_two_measurements_of_a_variant_the_newest_is_judged(root: Root, folder: str) -> None:
    """Whatever the order of their folders; paired with what was measured beside it."""
    measure_ratios(root, 1.5)
    sessions = [{"id": "t", "control": "c", "members": [], "drift": None, "load": [0.1], "finished": None}]
    for mixer, rates in (("attention", [200.0, 201.0, 202.0]), ("patch_ff", [100.0, 102.0, 101.0])):
        subject = Subject(mixer, TINY.replace(mixer=mixer), "", *inputs(TINY.dataset))
        write(root.results / "speed" / folder, measurement(subject, rates, MODES[0], peak=None, sessions=sessions))
    assert verdict(root, study(FASTER)).decision == "contradicted"


def test_other_batch_sizes_and_single_rounds_decide_nothing(root: Root) -> None:
    measure(root, MODES[0], [100.0, 101.0], batch=1, mixer="attention")
    measure(root, MODES[0], [50.0, 51.0], batch=1, mixer="patch_ff")
    assert verdict(root, study(FASTER)).reason.startswith("not measured")
    measure(root, MODES[0], [100.0], mixer="attention")
    measure(root, MODES[0], [50.0], mixer="patch_ff")
    assert verdict(root, study(FASTER)).decision == "undecided"


def test_nothing_measured_is_said(root: Root) -> None:
    assert verdict(root, study(FASTER)).reason.startswith("not measured: no mode has every variant in the claim")
    made = study(FASTER)
    assert judge(made, "small", study_frame(made, "small", []))[0].decision == "undecided"


def test_speed_and_accuracy_do_not_mix(root: Root) -> None:
    assert verdict(root, study(throughput() - top1() > 0)).reason.startswith("it combines speed")


PATCHES = (1, 2, 3, 4, 6)


def measure_laws(root: Root, **laws: float) -> None:
    """Models of several patch sizes whose time grows with the tokens by a law, but for 1 % of noise."""
    draw = np.random.default_rng(0)
    for mixer, law in laws.items():
        for patch in PATCHES:
            tokens = TINY.replace(patch_size=patch).tokens
            rate = 1000 / tokens**law * float(np.exp(0.01 * draw.normal()))
            measure(root, MODES[0], [rate, rate, rate], mixer=mixer, patch_size=patch)


@pytest.mark.parametrize(
    ("holds", "decision"),
    [
        (exponent(mixer="patch_ff") - exponent() > 0.5, "supported"),
        (exponent(mixer="patch_ff") > exponent() + 1.5, "contradicted"),
        (exponent() < 1.2, "supported"),
        (exponent() > 1, "undecided"),
        (2 * exponent() < exponent(mixer="patch_ff") + 0.2, "supported"),
        (exponent(over="depth") > 0, "undecided"),
    ],
    ids=str,
)
def test_exponents_are_judged_by_their_own_errors(root: Root, holds: Inequality, decision: str) -> None:
    measure_laws(root, attention=1.0, patch_ff=2.0)
    assert verdict(root, study(holds, PATCHES)).decision == decision


def test_two_sizes_have_an_exponent_and_no_interval(root: Root) -> None:
    for patch, rate in ((2, 10.0), (4, 50.0)):
        measure(root, MODES[0], [rate, rate], mixer="attention", patch_size=patch)
    found = verdict(root, study(exponent() > 0, (2, 4)))
    assert found.decision == "undecided"
    assert found.interval is not None
    assert found.interval.mean > 0
