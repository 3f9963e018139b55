"""`ablate bench` from the command line, with fake workers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.measure import record as speed_record
from ablate.measure.lock import alone
from ablate.measure.process import Start
from ablate.measure.protocol import Mode
from ablate.measure.session import Session
from ablate.study.load import load
from tests.measure.fake import FakeWorkers, dead, full

WORDS = ["--modes", "fp32-eager", "--batches", "64,1", "--threads", "1"]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> FakeWorkers:
    """Replace the workers of every session by fake ones."""
    fake = FakeWorkers()

    def processes(self: Session, mode: Mode) -> Start:
        return fake.start(mode)

    monkeypatch.setattr(Session, "_processes", processes)
    return fake


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs the command and returns its result."""

    def call(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["bench", *words, "--root", str(tmp_path)])
        assert result.exit_code == code, result.output
        return result

    return call


def test_a_study_is_measured_and_shown(bench: Any, workers: FakeWorkers, tmp_path: Path) -> None:
    shown = bench("quickstart", "--quick", *WORDS).stdout
    assert "3 models, 2 modes, batches 64, 1; quick protocol, 1 CPU thread" in shown
    line = "[1/3] inference, float32, eager, batch 64: attention 100, patch_ff 200, none 300 images/s"
    assert line in shown
    assert "images/s and ratio to attention with its 95 % interval, batch 64, A CPU, 1 thread, torch 2.0" in shown
    assert re.search(r"^training, float32, eager +100 +200 ×2\.00 +300 ×3\.00$", shown, re.MULTILINE)
    assert "peak memory (MiB), batch 64, A CPU, 1 thread, torch 2.0" in shown
    assert re.search(r"^training, float32, eager +64 +64 +64$", shown, re.MULTILINE)
    assert "latency of one image (ms): p50, p90, p99, A CPU, 1 thread, torch 2.0" in shown
    assert re.search(r"^inference, float32, eager +1\.00, 1\.00, 1\.00 ", shown, re.MULTILINE)
    assert "left)" in shown
    assert str(tmp_path / "results" / "speed" / "a-cpu-1-thread-torch-2.0") in shown.replace("\n", "")


def test_the_ranking_counts_modes(bench: Any, workers: FakeWorkers) -> None:
    # Rates that vary little, so that the intervals are narrow.
    workers.rates = FakeWorkers(
        rates={"attention": (100.0, 101.0, 102.0), "patch_ff": (200.0, 201.0, 205.0), "none": (300.0, 301.0, 302.0)}
    ).rates
    bench("quickstart", "--quick", *WORDS)
    shown = bench("quickstart", "--quick", *WORDS).stdout
    assert "faster than attention in 2 of 2 modes" in shown
    assert "faster than patch_ff" not in shown, "only pairs with the control, unless --ranking is given"
    before = len(workers.told)
    shown = bench("quickstart", "--ranking").stdout
    assert "none faster than patch_ff in 2 of 2 modes" in shown
    assert re.search(r"×2\.00 \[1\.9\d, 2\.0\d\]", shown)
    assert "none faster than attention in 2 of 2 modes" in shown
    assert len(workers.told) == before, "--ranking measures nothing"


def test_as_json(bench: Any, workers: FakeWorkers) -> None:
    content = orjson.loads(bench("quickstart", "--quick", *WORDS, "--json").stdout)
    assert len(content["measurements"]) == 3 * 3
    assert content["measurements"][0]["variant"] == "attention"
    assert content["failures"] == []
    assert content["time_is_up"] is False
    (pair, *_) = content["ranking"]
    assert {"one", "other", "sentence", "modes"} <= set(pair)


def test_a_lost_worker_is_reported_and_gives_exit_code_1(bench: Any, workers: FakeWorkers) -> None:
    def trouble(label: str, do: str, order: Any) -> None:
        if (label, do) == ("patch_ff", "warm_up"):
            dead()

    workers.trouble = trouble
    shown = bench("quickstart", "--quick", *WORDS, code=1).stdout
    assert "failed  patch_ff, fp32-eager-nchw-inference: ended (exit code 1): Killed" in shown
    assert "none 300" in shown


def test_a_time_budget_uses_short_windows_and_the_next_session_resumes(
    bench: Any, workers: FakeWorkers, tmp_path: Path
) -> None:
    shown = bench("quickstart", "--time-budget", "0.000001s", *WORDS).stdout
    assert "The time is up. Run the same command to resume." in shown
    bench("quickstart", "--time-budget", "9m", *WORDS)
    assert {one.protocol["name"] for _, one in speed_record.read_all(tmp_path / "results")} == {"budget"}


def test_models_of_the_paper_and_of_timm(bench: Any, workers: FakeWorkers, tmp_path: Path) -> None:
    workers.rates = FakeWorkers(rates={"linear_tiny": 1.0, "ablate_tiny:mixer=pool": 2.0, "resmlp_12_224": 3.0}).rates
    bench("--models", "linear_tiny, ablate_tiny:mixer=pool", "--timm", "resmlp_12_224", "--quick", *WORDS)
    found = {one.subject["label"] for _, one in speed_record.read_all(tmp_path / "results")}
    assert found == {"linear_tiny", "ablate_tiny:mixer=pool", "resmlp_12_224"}


def test_a_model_given_twice_keeps_its_place_and_the_first_is_the_control(bench: Any, workers: FakeWorkers) -> None:
    workers.rates = FakeWorkers(rates={"linear_tiny": 1.0, "ablate_tiny": 2.0}).rates
    shown = bench("--models", "linear_tiny,ablate_tiny,linear_tiny", "--quick", *WORDS).stdout
    assert "2 models" in shown
    assert "ratio to linear_tiny" in shown


def test_out_of_memory_is_shown_for_the_rate_or_for_the_peak_alone(bench: Any, workers: FakeWorkers) -> None:
    def trouble(label: str, do: str, order: Any) -> None:
        if (label, do) in {("patch_ff", "window"), ("none", "peak_memory")}:
            full()

    workers.trouble = trouble
    shown = bench("quickstart", "--quick", *WORDS).stdout
    assert re.search(r"^training, float32, eager +100 +out of memory +300 ×3\.00$", shown, re.MULTILINE)
    assert re.search(r"^training, float32, eager +64 +out of memory$", shown, re.MULTILINE)


def test_no_measurements(bench: Any) -> None:
    assert bench("quickstart", "--ranking").stdout.strip() == "there are no measurements yet"


def test_a_second_session_on_the_device_is_rejected(bench: Any, workers: FakeWorkers, tmp_path: Path) -> None:
    with alone(tmp_path / "runs" / "speed", "cpu", "A CPU"):
        rejected = bench("quickstart", "--quick", *WORDS, code=2)
    assert (
        "is measuring on A CPU, and two at once would slow each other down; wait until it has ended" in rejected.stderr
    )
    assert rejected.stderr.count("\n") == 1


SIZES = """
from ablate import Scale, Study

WIDE = {"mixer": "patch_ff", "token_hidden": 64}
study = Study(
    question="How does time grow?",
    axes={"kind": {"attention": {}, "wide": WIDE}, "image_size": [12, 21, 30]},
    cross=True,
    scales={"tiny": Scale({"dataset": "digits", "patch_size": 3, "dim": 12, "depth": 1, "pool": "avg"})},
)
"""


def test_scaling_is_shown_where_sizes_differ(bench: Any, workers: FakeWorkers, tmp_path: Path) -> None:
    study = tmp_path / "sizes.py"
    study.write_text(SIZES)
    labels = [variant.label for variant in load(study).variants()]
    workers.rates = FakeWorkers(rates={label: float(1000 - at) for at, label in enumerate(labels)}).rates
    words = [str(study), "--quick", "--modes", "fp32-eager-inference", "--batches", "1"]
    shown = bench(*words).stdout
    assert re.search(r"^MODEL +inference, float32, eager$", shown, re.M), "one row per model where there are many"
    assert re.search(r"^wide: time grows as tokens\^\d\.\d\d ± \d\.\d\d, MACs as tokens", shown, re.M)
    content = orjson.loads(bench(*words, "--json").stdout)
    assert [curve["label"] for curve in content["scaling"]] == ["attention", "wide"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "bench needs a study, --models or --timm"),
        (["--scale", "digits", "--models", "linear_tiny"], "--scale digits needs a study"),
        (["quickstat"], "unknown study 'quickstat': did you mean 'quickstart'"),
        (["quickstart", "--modes", "bf17"], "unknown word of a mode 'bf17'"),
        (["quickstart", "--batches", "64,0"], "--batches must be whole numbers above 0, such as 64,1,16, got '64,0'"),
        (["quickstart", "--threads", "0"], "--threads must be 1 or more, got 0"),
        (["quickstart", "--time-budget", "soon"], "--time-budget must be a time such as 9m or 540s, got 'soon'"),
        (["--models", "linear_tinny"], "unknown model 'linear_tinny': did you mean 'linear_tiny'"),
        (["--models", "linear_tiny:lr=0.1"], "unknown field that shapes a model 'lr': known are"),
        (["--timm", "resmlp_12"], "timm has no model 'resmlp_12'"),
    ],
)
def test_a_wrong_request_is_a_sentence(bench: Any, words: list[str], message: str) -> None:
    result = bench(*words, code=2)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_the_command_does_not_import_torch() -> None:
    code = "import sys; import ablate.cli.bench;print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_subjects_of_one_architecture_are_measured_once(bench: Any, workers: FakeWorkers) -> None:
    bench("quickstart", "--quick", *WORDS)
    assert set(workers.started.values()) == {1}
