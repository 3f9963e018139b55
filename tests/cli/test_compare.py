"""`ablate plan --compare`: its output, its JSON, and that a plan does not import torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate.cli import app

STUDY = '''"""The paper's swap."""
from ablate import Scale, Study

study = Study(
    question="Is it the mixer?",
    axes={
        "mixer": {
            "attention": {},
            "as released": {"mixer": "patch_ff", "order": "channel_first", "token_norm": "token", "drop": 0.1},
            "none": {"mixer": "none"},
        },
        "match": ["none", "params"],
    },
    fixed={"pool": "POOL"},
    scales={
        "small": Scale({"dataset": "DATASET", "image_size": 12, "patch_size": 3, "dim": 64, "depth": 4, "heads": 4}),
    },
)
'''


def invoke(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "swap.py"
    path.write_text(STUDY.replace("DATASET", "digits_shifted").replace("POOL", "cls"))
    return path


def test_it_shows_side_effects_and_models_that_cannot_see_the_image(study: Path, tmp_path: Path) -> None:
    shown = invoke("plan", str(study), "--compare", "--root", str(tmp_path)).stdout
    parts = {part.strip().partition("\n")[0]: part for part in shown.split("\n\n")}
    control, released, none = (parts[name] for name in ("attention", "as released", "none"))
    matched = parts["as released, match=params"]
    assert "nothing (control)" in control
    assert "also changes" not in control
    for what in ("order: token_first", "norm1: channels → tokens", "drop: 0 → 0.1", "dropout pos_drop"):
        assert f"also changes   {what}" in released.replace("norm axis blocks.*.", "")
    assert "receptive field" not in released
    assert "matched        token_hidden=" in matched
    assert "receptive field the logits do not depend on the image" in none
    assert "%)" in none
    assert list((tmp_path / "runs" / "cache").glob("*.json"))


def test_a_plain_plan_shows_the_error_of_a_match_and_no_comparison(study: Path, tmp_path: Path) -> None:
    shown = invoke("plan", str(study), "--root", str(tmp_path)).stdout
    assert "(params +" in shown or "(params -" in shown
    assert "also changes" not in shown


def test_as_json(study: Path, tmp_path: Path) -> None:
    content = orjson.loads(invoke("plan", str(study), "--compare", "--json", "--root", str(tmp_path)).stdout)
    compared = {one["variant"]: one for one in content["compare"]}
    assert list(compared) == [variant["variant"] for variant in content["variants"]]
    assert compared["attention"]["also_changes"] == []
    assert compared["none"]["receptive_field_gap"] == "the logits do not depend on the image"
    assert "order: token_first → channel_first" in compared["as released"]["also_changes"]
    assert abs(compared["as released, match=params"]["match"]["error"]) <= 0.05
    assert "compare" not in orjson.loads(invoke("plan", str(study), "--json", "--root", str(tmp_path)).stdout)


def test_it_needs_no_data(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("DATASET", "imagenet").replace("POOL", "avg"))
    assert "and 1,000 classes" in invoke("plan", str(study), "--compare", "--root", str(tmp_path)).stdout


def test_a_plan_needs_no_data_but_a_run_does(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("DATASET", "imagenet").replace("POOL", "avg"))
    shown = invoke("plan", str(study), "--root", str(tmp_path)).stdout
    assert "imagenet is not available, so its images were not checked; see `ablate data`\n" in shown
    assert "runs to train" in shown
    rejected = invoke("run", str(study), "--root", str(tmp_path), code=2)
    assert "dataset imagenet has no path" in rejected.output


def test_neither_a_plan_nor_a_cached_comparison_imports_torch(study: Path, tmp_path: Path) -> None:
    words = ["plan", str(study), "--root", str(tmp_path)]
    invoke(*words, "--compare")
    code = (
        "import sys; from typer.testing import CliRunner; from ablate.cli import app;"
        f"r = [CliRunner().invoke(app, {words} + more) for more in ([], ['--compare'])];"
        "print([one.exit_code for one in r], [name for name in ('torch', 'timm', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0] []"
