"""A question, axes, scales and claims, turned into runs; and study files, with the line that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.study.claims import Claim, Quantity, macs, params, throughput, top1
from ablate.study.load import load, named
from ablate.study.match import Match, solve
from ablate.study.study import Scale, Study

SMALL = {"dim": 16, "heads": 2, "depth": 2}


def study(**changes: Any) -> Study:
    """Two axes of two and three values at two scales."""
    defaults: dict[str, Any] = {
        "question": "Which?",
        "axes": {"mixer": ["attention", "none"], "dim": [16, 32, 64]},
        "fixed": {"pool": "avg"},
        "scales": {"small": Scale(SMALL), "wide": Scale(SMALL | {"mlp_ratio": 8.0}, seeds=5)},
        "name": "mine",
    }
    return Study(**defaults | changes)


def labels(of: Study) -> list[str]:
    return [variant.label for variant in of.variants()]


def test_axes_change_one_at_a_time_from_the_control() -> None:
    assert labels(study()) == ["attention", "none", "attention, dim=32", "attention, dim=64"]
    control, *others = (variant.run for variant in study().variants())
    assert control == Run.from_dict({**SMALL, "mixer": "attention", "pool": "avg"})
    changed = [{n for n, v in run.to_dict().items() if v != control.to_dict()[n]} for run in others]
    assert changed == [{"mixer"}, {"dim"}, {"dim"}]


def test_crossed_axes_are_multiplied() -> None:
    crossed = study(cross=True)
    assert labels(crossed) == [f"{m}, dim={d}" for m in ("attention", "none") for d in (16, 32, 64)]
    assert len({variant.run.key for variant in crossed.variants()}) == 6


def test_an_axis_may_change_several_fields_under_a_label() -> None:
    axes = {"size": {"narrow": {"dim": 16}, "wide": {"dim": 64, "heads": 8}}}
    narrow, wide = study(axes=axes).variants()
    assert (narrow.label, narrow.run.dim, narrow.run.heads) == ("narrow", 16, 2)
    assert (wide.label, wide.run.dim, wide.run.heads) == ("wide", 64, 8)


def test_numbers_on_the_first_axis_carry_its_name() -> None:
    assert labels(study(axes={"dim": [16, 32]})) == ["dim=16", "dim=32"]


def test_without_axes_there_is_the_control() -> None:
    assert labels(study(axes={})) == ["control"]


def test_equal_variants_are_run_once() -> None:
    assert labels(study(axes={"dim": [16, 16.0, 32]})) == ["dim=16", "dim=32"]


def test_a_scale_sets_the_base_and_fixed_fields_win() -> None:
    assert study().variants("wide")[0].run.mlp_ratio == 8.0
    assert study().variants()[0].run.mlp_ratio == 4.0, "the first scale is the default"
    assert study(fixed={"depth": 1}).variants()[0].run.depth == 1
    with pytest.raises(SpecError, match="unknown scale 'wid': did you mean 'wide'"):
        study().runs("wid")


def test_runs_go_seed_by_seed_so_that_an_unfinished_study_is_paired() -> None:
    runs = study(seeds=2).runs()
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert [run.replace(seed=0) for run in runs[:4]] == [run.replace(seed=0) for run in runs[4:]]


def test_seeds_are_as_asked_else_the_scales_else_the_studys() -> None:
    assert study().seed_count() == 3
    assert study().seed_count("wide") == 5
    assert study().seed_count("wide", seeds=2) == 2
    assert len(study().runs("wide", seeds=1)) == 4


@pytest.mark.parametrize("seeds", [0, -1, 1.5, True, "3"])
def test_wrong_numbers_of_seeds_are_refused(seeds: Any) -> None:
    with pytest.raises(SpecError, match=r"seeds must be an integer, 1 or more, got"):
        study(seeds=seeds)
    with pytest.raises(SpecError, match="seeds must be an integer"):
        study().runs(seeds=seeds)
    with pytest.raises(SpecError, match="seeds must be an integer"):
        study(scales={"small": Scale(SMALL, seeds=seeds)}).runs()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scales": {}}, "study mine must have at least one scale, got none"),
        ({"axes": {"dim": []}}, r"axis dim must be a list of values, the control's first, got \[\]"),
        ({"axes": {"mixer": "none"}}, "axis mixer must be a list of values, the control's first, got 'none'"),
        ({"axes": {"seed": [0, 1]}}, "study mine must not set the field seed; set the number of seeds"),
        ({"fixed": {"seed": 1}}, "study mine must not set the field seed"),
        ({"scales": {"small": Scale({"seed": 1})}}, "study mine must not set the field seed"),
    ],
)
def test_a_study_that_cannot_be_run_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        study(**changes)


def test_a_wrong_field_or_value_is_a_sentence_when_runs_are_made() -> None:
    with pytest.raises(SpecError, match="unknown field 'mixr': did you mean 'mixer'"):
        study(axes={"mixr": ["none"]}).runs()
    with pytest.raises(SpecError, match="unknown mixer 'nun'"):
        study(axes={"mixer": ["attention", "nun"]}).runs()


def test_a_quantity_is_found_by_fields_or_label() -> None:
    assert study().variant(Quantity("top1")).label == "attention"
    assert study().variant(Quantity("top1", where={"dim": 32.0})).label == "attention, dim=32"
    assert study().variant(Quantity("top1", "none")).run.mixer == "none"
    with pytest.raises(
        SpecError, match=r"top1\(dim=8\) matches no variant of study mine at scale small; the var.* none"
    ):
        study().variant(Quantity("top1", where={"dim": 8}))
    with pytest.raises(SpecError, match="unknown variant 'nonne': did you mean 'none'"):
        study().variant(Quantity("top1", "nonne"))


def test_a_scale_may_have_other_values_on_an_axis_in_the_studys_order() -> None:
    scales = {"small": Scale(SMALL), "wide": Scale(SMALL, axes={"dim": [32, 128]})}
    of = study(scales=scales, cross=True)
    assert [v.label for v in of.variants("small")] == [
        f"{m}, dim={d}" for m in ("attention", "none") for d in (16, 32, 64)
    ]
    assert [v.label for v in of.variants("wide")] == [f"{m}, dim={d}" for m in ("attention", "none") for d in (32, 128)]
    assert of.variant(top1(dim=128).terms[0][1], "wide").run.dim == 128
    with pytest.raises(SpecError, match=r"dim=128.* matches no variant of study mine at scale small"):
        of.variant(top1(dim=128).terms[0][1], "small")


def test_a_scale_but_for_some_of_it() -> None:
    scale = Scale(SMALL, "a minute", 5, {"dim": [8]})
    assert scale.replace(dim=32) == Scale(SMALL | {"dim": 32}, "a minute", 5, {"dim": [8]})
    assert scale.replace(axes={}, seeds=1, expect="an hour") == Scale(SMALL, "an hour", 1)


def test_a_scale_may_match_in_other_modes() -> None:
    of = study(
        axes={"mixer": ["attention", "patch_ff"], "match": ["params"]},
        scales={"small": Scale(SMALL), "wide": Scale(SMALL, axes={"match": ["params", "macs"]})},
    )
    assert [v.label for v in of.variants("small")] == ["attention", "patch_ff, match=params"]
    assert [v.label for v in of.variants("wide")] == ["attention", "patch_ff, match=params", "patch_ff, match=macs"]


def test_a_width_that_two_modes_agree_on_is_the_variant_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def agreeing(label: str, run: Run, control: Run, mode: str) -> tuple[Run, Match | None]:
        return solve(label, run, control, "params" if mode == "macs" else mode)

    monkeypatch.setattr("ablate.study.study.solve", agreeing)
    of = study(axes={"mixer": ["attention", "patch_ff"], "match": ["none", "params", "macs"]})
    assert labels(of) == ["attention", "patch_ff", "patch_ff, match=params"]
    for mode, label in (("none", "patch_ff"), ("params", labels(of)[2]), ("macs", labels(of)[2])):
        assert of.variant(top1(mixer="patch_ff", match=mode).terms[0][1]).label == label
        assert of.variant(top1(match=mode).terms[0][1]).label == "attention"


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({"dims": [16]}, "unknown axis 'dims': did you mean 'dim'"),
        ({"dim": []}, "axis dim must be a list of values"),
        ({"dim": {"big": {"mixer": "none"}}}, "must be set by one axis, got axes mixer and dim for mixer"),
        ({"dim": {"big": 64}}, "axis dim must map labels to the fields they set, got 'big': 64"),
        ({"dim": {64: {"dim": 64}}}, "axis dim must map labels to the fields they set, got 64: "),
    ],
)
def test_axes_of_a_scale_are_checked_like_the_studys(axes: Any, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        study(scales={"small": Scale(SMALL, axes=axes)})


SIZES = {"tiny": {"dim": 16, "depth": 1}, "deep": {"depth": 4}, "big": {"dim": 64, "heads": 4}}


@pytest.mark.parametrize("cross", [False, True])
def test_an_axis_of_no_fields_name_is_named_by_its_labels(cross: bool) -> None:
    of = study(axes={"mixer": ["attention", "none"], "size": SIZES}, cross=cross)
    found = of.variant(top1(size="big").terms[0][1]).run
    assert (found.dim, found.heads, found.depth) == (64, 4, 2), "the scale's depth, not the first size's"
    assert of.variant(top1(mixer="none", size="tiny").terms[0][1]).run.mixer == "none"
    assert of.variant(top1(dim=64, heads=4, size="deep", depth=2).terms[0][1]).label == of.variants()[3 - cross].label
    with pytest.raises(SpecError, match="unknown label of axis size 'huge': known are big, deep, tiny"):
        of.variant(top1(size="huge").terms[0][1])


def test_an_axis_named_after_a_field_is_named_by_label_or_value() -> None:
    mixers = {"attention": {"mixer": "attention"}, "fixed": {"mixer": "patch_ff", "token_hidden": 8}}
    of = study(axes={"mixer": mixers})
    assert of.variant(top1(mixer="fixed").terms[0][1]).run.token_hidden == 8
    assert of.variant(top1(mixer="patch_ff", token_hidden=8).terms[0][1]).label == "fixed"


def test_a_label_may_stand_for_other_fields_at_another_scale() -> None:
    wide = Scale(SMALL, axes={"size": {"tiny": {"dim": 32}, "big": {"dim": 128}}})
    of = study(axes={"size": SIZES}, scales={"small": Scale(SMALL), "wide": wide})
    big = top1(size="big").terms[0][1]
    assert [of.variant(big, scale).run.dim for scale in of.scales] == [64, 128]


def test_a_study_of_speed_has_variants_and_no_runs() -> None:
    of = study(benchmark_only=True, claims=[Claim("fast", throughput() > 0), Claim("small", params() < macs())])
    assert len(of.variants()) == 4
    assert of.runs() == of.runs("wide", seeds=2) == []
    assert of.seed_count("wide") == 0
    with pytest.raises(SpecError, match=r"claim 'good' of the benchmark_only study mine must be about .*, got top1"):
        study(benchmark_only=True, claims=[Claim("good", top1() - params() > 0)])


def test_a_claim_may_be_made_at_some_scales(tmp_path: Path) -> None:
    of = study(claims=[Claim("wide", top1(dim=32) > 0, scales=["wide"]), Claim("all", top1() > 0)])
    assert [claim.sentence for claim in of.claims_at()] == ["all"]
    assert [claim.sentence for claim in of.claims_at("wide")] == ["wide", "all"]
    with pytest.raises(SpecError, match="unknown scale 'wid': did you mean 'wide'"):
        study(claims=[Claim("wide", top1() > 0, scales=["wid"])])
    odd = GOOD.replace('"digits": DIGITS', '"digits": DIGITS, "odd": Scale({**DIGITS.fields, "dim": 96})')
    named = odd.replace("DIGITS, Claim", "DIGITS, Claim, Scale").replace('top1(mixer="none")', "top1(dim=96)")
    with pytest.raises(SpecError, match=r"top1\(dim=96\) matches no variant of study asked at scale digits"):
        load(write(tmp_path, named))
    assert load(write(tmp_path, named.replace("> 0)", '> 0, scales=["odd"])'))).claims_at("digits") == []


GOOD = """
from ablate import DIGITS, Claim, Study, top1
study = Study(
    question="Which?",
    axes={"mixer": ["attention", "none"]},
    fixed={"pool": "avg"},
    scales={"digits": DIGITS},
    claims=[Claim("Mixing helps", top1() - top1(mixer="none") > 0)],
)
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "asked.py"
    path.write_text(text)
    return path


def test_a_file_is_loaded_and_named_after_itself(tmp_path: Path) -> None:
    found = load(write(tmp_path, GOOD))
    assert found.name == "asked"
    assert labels(found) == ["attention", "none"]
    assert isinstance(found.claims[0], Claim)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("x = 1\n", ["must assign a study; add a line `study = Study(...)`"]),
        ("study = 3\n", ["must assign a study"]),
        ("x = 1\ny = (\n", ["asked.py, line 2: SyntaxError", "'(' was never closed"]),
        ("x = 1\ny = 1 / 0\n", ["asked.py, line 2: ZeroDivisionError: division by zero", "    y = 1 / 0"]),
        ("import nowhere\n", ["asked.py, line 1: ModuleNotFoundError", "import nowhere"]),
        (GOOD.replace("Study(", "Study(seeds=0,"), ["line 3: seeds must be an integer"]),
        (GOOD.replace("> 0", ""), ["claim 'Mixing helps' must have a comparison"]),
        (GOOD.replace('="none")', '="patch_ff")'), ["top1(mixer=patch_ff) matches no variant of study asked"]),
        (GOOD.replace('="none")', '="nonne")'), ["unknown mixer 'nonne': did you mean 'none'?"]),
    ],
)
def test_a_file_that_fails_is_answered_with_its_own_line(tmp_path: Path, text: str, sentences: list[str]) -> None:
    with pytest.raises(SpecError) as error:
        load(write(tmp_path, text))
    for sentence in sentences:
        assert sentence in str(error.value)


def test_a_file_may_define_dataclasses(tmp_path: Path) -> None:
    """It is compiled on its own: were this package's `annotations` feature inherited, dataclasses would break."""
    extra = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\nassert Point(1).x == 1\n"
    assert load(write(tmp_path, extra + GOOD)).name == "asked"


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no study file .*gone\.py; pass a path to a \.py file or one of"):
        load(tmp_path / "gone.py")
    with pytest.raises(SpecError, match="unknown study 'quickstar': did you mean 'quickstart'"):
        load("quickstar")


def test_the_nearest_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "quickstart.py").write_text(GOOD)
    assert named()["quickstart"] == Path("studies/quickstart.py")
    assert load("quickstart").question == "Which?"


def test_claims_are_checked_at_every_scale(tmp_path: Path) -> None:
    text = GOOD.replace('scales={"digits": DIGITS}', 'scales={"digits": DIGITS, "odd": Scale({"heads": 5})}')
    with pytest.raises(SpecError, match="heads must divide dim, which is 192, got 5"):
        load(write(tmp_path, text.replace("DIGITS, Claim", "DIGITS, Claim, Scale")))


def test_top1_of_a_variant_is_what_the_claim_names() -> None:
    assert study().variant(top1(dim=64).terms[0][1]).run.dim == 64
