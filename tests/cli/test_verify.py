"""`ablate plan --audit`: what it prints, its JSON, and that a plain plan stays without torch."""

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


def test_plan_audit_says_what_comes_along_and_who_is_blind(study: Path, tmp_path: Path) -> None:
    shown = invoke("plan", str(study), "--audit", "--root", str(tmp_path)).stdout
    said = {part.strip().partition("\n")[0]: part for part in shown.split("\n\n")}
    control, released, none = (said[name] for name in ("attention", "as released", "none"))
    matched = said["as released, match=params"]
    assert "nothing: it is the control" in control
    assert "also changes" not in control
    for what in ("order: token_first", "norm1: channels → tokens", "drop: 0 → 0.1", "dropout pos_drop"):
        assert f"also changes   {what}" in released.replace("norm axis blocks.*.", "")
    assert "BLIND" not in released
    assert "matched        token_hidden=" in matched
    assert "BLIND          the logits do not depend on the image" in none
    assert "%)" in none
    assert list((tmp_path / "runs" / "cache").glob("*.json"))


def test_a_plain_plan_says_how_near_a_match_came_and_nothing_of_the_models(study: Path, tmp_path: Path) -> None:
    shown = invoke("plan", str(study), "--root", str(tmp_path)).stdout
    assert "(params +" in shown or "(params -" in shown
    assert "also changes" not in shown


def test_as_json(study: Path, tmp_path: Path) -> None:
    content = orjson.loads(invoke("plan", str(study), "--audit", "--json", "--root", str(tmp_path)).stdout)
    audits = {one["variant"]: one for one in content["audit"]}
    assert list(audits) == [variant["variant"] for variant in content["variants"]]
    assert audits["attention"]["also_changes"] == []
    assert audits["none"]["receptive_field_gap"] == "the logits do not depend on the image"
    assert "order: token_first → channel_first" in audits["as released"]["also_changes"]
    assert abs(audits["as released, match=params"]["match"]["error"]) <= 0.05
    assert "audit" not in orjson.loads(invoke("plan", str(study), "--json", "--root", str(tmp_path)).stdout)


def test_an_audit_does_not_wait_for_data(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("DATASET", "imagenet").replace("POOL", "avg"))
    assert "and 1,000 classes" in invoke("plan", str(study), "--audit", "--root", str(tmp_path)).stdout


def test_nor_does_a_plan_and_it_says_so_but_a_run_is_refused(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("DATASET", "imagenet").replace("POOL", "avg"))
    said = invoke("plan", str(study), "--root", str(tmp_path)).stdout
    assert "imagenet is not at hand, so its pictures were not checked; see ablate data\n" in said
    assert "runs to train" in said
    refused = invoke("run", str(study), "--root", str(tmp_path), code=2)
    assert "nobody said where dataset imagenet lies" in refused.output


def test_a_plan_and_a_kept_audit_leave_torch_out(study: Path, tmp_path: Path) -> None:
    words = ["plan", str(study), "--root", str(tmp_path)]
    invoke(*words, "--audit")
    code = (
        "import sys; from typer.testing import CliRunner; from ablate.cli import app;"
        f"r = [CliRunner().invoke(app, {words} + more) for more in ([], ['--audit'])];"
        "print([one.exit_code for one in r], [name for name in ('torch', 'timm', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0] []"
