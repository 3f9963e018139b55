"""Variants brought to one size: the knob, the nearest legal width, its error, and what cannot be matched."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate import Scale, SpecError, Study, top1
from ablate.model.build import build
from ablate.model.cost import inputs, macs, parameters
from ablate.spec.parts import MIXERS
from ablate.spec.run import Run, differences
from ablate.spec.source import formula
from ablate.study.match import solve
from tests.tiny import TINY

BASE = Run(dataset="imagenet", image_size=224, patch_size=16, dim=768, depth=12, heads=12, pool="avg")
KNOBS = {"patch_ff": "token_hidden", "gating": "gating_ratio"}


def cost(run: Run, mode: str) -> int:
    """Parameters of the built model, or MACs."""
    if mode == "macs":
        return macs(run, *inputs(run.dataset))
    with torch.device("meta"):
        return sum(p.numel() for p in build(run, *inputs(run.dataset)).parameters())


def neighbours(run: Run, knob: str) -> list[Run]:
    step = {"dim": run.heads, "token_hidden": 1, "gating_ratio": 1 / run.dim}[knob]
    return [run.replace(**{knob: getattr(run, knob) + sign * step}) for sign in (-1, 1)]


@pytest.mark.parametrize("mode", ["params", "macs"])
@pytest.mark.parametrize("mixer", [name for name in MIXERS if name != "attention"])
def test_the_nearest_legal_width_is_taken_and_nothing_else_changes(mixer: str, mode: str) -> None:
    asked = BASE.replace(mixer=mixer)
    run, match = solve(mixer, asked, BASE, mode)
    assert match is not None
    assert match.knob == KNOBS.get(mixer, "dim")
    assert set(differences(asked, run)) == {match.knob}
    assert (match.unmatched, match.value, match.reached) == (asked, getattr(run, match.knob), cost(run, mode))
    assert match.target == cost(BASE, mode)
    assert match.error == pytest.approx(match.reached / match.target - 1)
    assert abs(match.error) < 0.05
    off = abs(match.reached - match.target)
    assert all(abs(cost(other, mode) - match.target) >= off for other in neighbours(run, match.knob))


@pytest.mark.parametrize("changes", [{"pos_embed": "sincos", "heads": 6}, {"stem": "conv"}], ids=str)
def test_a_width_is_legal_for_heads_and_embedding_and_stem(changes: dict[str, Any]) -> None:
    control = BASE.replace(dim=384, heads=6, **changes) if "heads" not in changes else BASE.replace(dim=384, **changes)
    run, match = solve("none", control.replace(mixer="none"), control, "params")
    assert match is not None
    assert run.dim > 384
    assert run.dim % math.lcm(6, 4 if run.pos_embed == "sincos" else 8) == 0


def test_one_that_has_the_size_is_left_alone() -> None:
    assert solve("same", BASE.replace(lr=0.1), BASE, "params") == (BASE.replace(lr=0.1), None)
    assert solve("none", BASE.replace(mixer="none"), BASE, "none") == (BASE.replace(mixer="none"), None)


def test_an_axis_over_the_knob_itself_is_matched_by_the_width() -> None:
    control = BASE.replace(mixer="patch_ff")
    run, match = solve("narrow", control.replace(token_ratio=1.0), control, "params")
    assert match is not None
    assert (match.knob, run.token_hidden, run.token_ratio) == ("dim", 0, 1.0)
    with pytest.raises(SpecError, match="there is no width"):
        solve("both", control.replace(token_ratio=1.0, dim=384), control, "params")


def test_further_off_than_five_percent_is_a_sentence_with_what_was_reached() -> None:
    control = TINY.replace(dim=32, heads=16)
    with pytest.raises(
        SpecError, match=r"none cannot be matched to the control's [\d,]+ parameters: the nearest is dim="
    ):
        solve("none", control.replace(mixer="none"), control, "params")


def test_a_target_below_the_smallest_width_is_a_sentence() -> None:
    control = TINY.replace(mixer="none")
    with pytest.raises(SpecError, match=r"nearest is token_hidden=1 with"):
        solve("patch_ff", control.replace(mixer="patch_ff", image_size=60), control, "macs")


def study(**more: Any) -> Study:
    settings: dict[str, Any] = {"axes": {"mixer": ["attention", "patch_ff", "none"]}, **more}
    base = {name: value for name, value in BASE.to_dict().items() if name != "seed"}
    return Study(question="?", scales={"base": Scale(base)}, **settings)


def test_a_study_matches_all_variants_to_its_control() -> None:
    control, patch_ff, none = study(match="params").variants()
    assert [v.label for v in (control, patch_ff, none)] == ["attention", "patch_ff", "none"]
    assert control.match is None
    assert patch_ff.match is not None
    assert none.match is not None
    assert (patch_ff.match.knob, none.match.knob) == ("token_hidden", "dim")
    assert study(match="params").variants() == study(match="params").variants()


def test_match_as_an_axis_gives_each_variant_once_a_mode_and_labels_it() -> None:
    axes = {"mixer": ["attention", "patch_ff", "none"], "match": ["none", "params", "macs"]}
    for cross in (False, True):
        labels = [variant.label for variant in study(axes=axes, cross=cross).variants()]
        assert labels == [
            "attention",
            *("patch_ff", "patch_ff, match=params", "patch_ff, match=macs"),
            *("none", "none, match=params", "none, match=macs"),
        ]
    assert len(study(axes=axes).runs()) == 3 * 7


def test_a_claim_speaks_of_matched_variants_as_they_were_asked() -> None:
    def label(study: Study, **where: Any) -> str:
        ((_, quantity),) = top1(**where).terms
        return study.variant(quantity).label

    assert label(study(match="params"), mixer="patch_ff") == "patch_ff"
    both = study(axes={"mixer": ["attention", "patch_ff"], "match": ["none", "params"]})
    assert label(both, mixer="patch_ff") == "patch_ff"
    assert label(both, mixer="patch_ff", match="params") == "patch_ff, match=params"
    assert label(both, mixer="attention", match="params") == "attention"
    with pytest.raises(SpecError, match="matches no variant"):
        label(both, mixer="patch_ff", match="macs")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"match": "flops"}, "unknown match 'flops'"),
        ({"axes": {"mixer": ["attention"], "match": ["none", "param"]}}, "did you mean 'params'"),
        ({"axes": {"mixer": ["attention"], "match": {"a": {}}}}, "must be a list of modes"),
        (
            {"axes": {"mixer": ["attention"], "match": ["none"]}, "match": "macs"},
            "must be an argument or an axis, got both",
        ),
    ],
)
def test_a_wrong_match_is_a_sentence(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        study(**more)


def test_a_matched_study_is_listed_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from ablate import DIGITS, Study;"
        "s = Study(question='?', axes={'mixer': ['attention', 'patch_ff', 'none', 'gating', 'pool']},"
        "fixed={'pool': 'avg'}, scales={'d': DIGITS}, match='params');"
        "print([v.match.knob for v in s.variants()[1:]], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['token_hidden', 'dim', 'gating_ratio', 'dim'] False"


# --- property 7: how cost grows with the number of tokens


def slope(mode: str, **changes: Any) -> float:
    """Exponent of a mixer's cost in the number of tokens, between 1,024 and 16,384 of them."""
    few, many = (BASE.replace(image_size=16 * side, **changes) for side in (32, 128))
    found = formula(MIXERS.path(few.mixer), mode)
    assert found is not None
    return math.log(found(many, many.tokens) / found(few, few.tokens)) / math.log(many.tokens / few.tokens)


def test_patch_ff_is_linear_with_a_fixed_width_and_quadratic_with_a_ratio() -> None:
    assert slope("macs", mixer="patch_ff", token_hidden=256) == pytest.approx(1)
    assert slope("macs", mixer="patch_ff", token_ratio=4.0) == pytest.approx(2)
    assert 1.2 < slope("macs", mixer="attention") < 2
    assert slope("params", mixer="patch_ff", token_hidden=256) == pytest.approx(1, abs=1e-3)
    assert slope("params", mixer="attention") == 0


# --- formulas without the file around them


def test_a_formula_takes_only_what_it_leans_on(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import math\nimport no_such_package\nWIDTH = 2\n\nclass Layer(no_such_package.Module): ...\n\n"
        "def _half(n): return n / WIDTH\n\ndef macs(run: no_such_package.Run, tokens, more=WIDTH):\n"
        "    return math.floor(_half(tokens)) + more\n\ndef layer(run): return Layer\n"
    )
    found = formula(path, "macs")
    assert found is not None
    assert found(None, 7) == 5
    assert formula(path, "params") is None
    with pytest.raises(SpecError, match="no_such_package"):
        formula(path, "layer")


def test_a_mixer_of_ones_own_without_a_formula_is_counted_on_the_model(tmp_path: Path, monkeypatch: Any) -> None:
    without = dict(MIXERS._paths)
    path = tmp_path / "linear.py"
    path.write_text(Path(MIXERS.path("linear")).read_text().replace("def params(", "def _params("))
    monkeypatch.setattr(MIXERS, "_paths", without | {"linear": path})
    run = TINY.replace(mixer="linear", depth=3, lr=0.123)
    assert parameters(run, 3, 7)[0] == sum(p.numel() for p in build(run, 3, 7).parameters())
