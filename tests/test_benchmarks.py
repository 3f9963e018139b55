"""The benchmarks run in small on the CPU, and compare what they say they compare. Nothing here is timed."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch

from ablate.model.build import build
from ablate.spec.recipes import PAPER
from ablate.spec.run import Run
from ablate.store.records import read_all
from ablate.store.root import Root
from tests.tiny import image_folder

pytestmark = pytest.mark.usefixtures("one_thread")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
DATA = Path(os.environ.get("ABLATE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(autouse=True)
def _as_scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A script finds its neighbours, and keeps its cache to itself."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))


def run_as_script(name: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
    import_module(name).main()


def rows(shown: str) -> list[list[str]]:
    """The cells of the last table, without its head."""
    lines = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("|")]
    last = max(at for at, cells in enumerate(lines) if set("".join(cells)) <= set("-|"))
    return lines[last + 1 :]


@pytest.fixture
def utilisation() -> ModuleType:
    return import_module("utilisation")


@pytest.mark.parametrize("side", [224, 48], ids=["197 tokens", "10 tokens"])
def test_padded_tokens_change_nothing(side: int, utilisation: ModuleType) -> None:
    """Outputs and gradients of FF-B's mixers, in two blocks of a narrow model, as without the padding."""
    run = Run.from_dict({**PAPER["linear_base"], "dim": 24, "depth": 2, "heads": 1, "image_size": side})
    pictures, found = torch.randn(2, 3, side, side, dtype=torch.float64), []
    for padded in (False, True):
        model: Any = build(run, 3, 7).double()
        if padded:
            utilisation.pad(model)
        logits = model(pictures)
        logits.square().sum().backward()
        found.append((logits, {name: p.grad for name, p in model.named_parameters()}))
    (plain, gradients), (other, others) = found
    assert torch.allclose(plain, other, rtol=1e-12, atol=1e-14)
    assert gradients.keys() == others.keys(), "padding adds no parameter"
    assert all(torch.allclose(value, others[name], rtol=1e-9, atol=1e-12) for name, value in gradients.items())


def test_padding_aligns_both_widths_of_the_papers_models(
    utilisation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    def seen(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(weight.shape))
        return x @ weight.T + bias

    monkeypatch.setattr(utilisation.F, "linear", seen)
    run = Run.from_dict({**PAPER["linear_base"], "dim": 24, "depth": 1, "heads": 1})
    mixer = utilisation.Padded(build(run, 3, 7).blocks[0].attn)
    assert mixer(torch.zeros(1, 197, 24)).shape == (1, 197, 24)
    assert shapes == [(792, 200), (200, 792)]


def test_utilisation_runs_in_small(
    utilisation: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, model in utilisation.MODELS.items():
        monkeypatch.setitem(utilisation.MODELS, name, model | {"dim": 24, "depth": 1, "heads": 1})
    words = ("--models", "DeiT-Ti", "FF-B", "--side", 32, "--batch-size", 2, "--seconds", 0.01, "--matrix", 64)
    run_as_script("utilisation", monkeypatch, *words)
    shown = capsys.readouterr().out
    assert "Peak of a product of 64×64 matrices in fp32" in shown
    assert [row[0] for row in rows(shown)] == ["DeiT-Ti", "FF-B", "FF-B, tokens padded"]
    assert all("n=3" in row[3] for row in rows(shown))


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)  # timm's reader leaves its files to the garbage collector
def test_the_input_pipeline_runs_in_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "pictures", {"a": 4, "b": 4}, {"a": 1, "b": 1})
    words = ("--data", folder, "--workers", 0, "--side", 32, "--batch-size", 2, "--epochs", 2)
    run_as_script("input_pipeline", monkeypatch, *words)
    shown = rows(capsys.readouterr().out)
    assert [row[0] for row in shown] == ["0, images/s", "0, images per processor second"]
    assert all("n=2" in row[1] and "n=2" in row[2] for row in shown)


def test_training_rate_runs_in_small(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--epochs", 2, "--side", 32, "--batch-size", 2, "--seconds", 0.01)
    run_as_script("training_rate", monkeypatch, *words)
    shown = rows(capsys.readouterr().out)
    assert [row[4] for row in shown] == ["not measured"] * 2, "without timm's script"


TIMMS_LOG = """
Train: 0 [   0/17 (  6%)]  Loss: 2.39 (2.39)  Time: 0.9s,   64.00/s  (0.912s,   70.18/s)  LR: 1.0e-03  Data: 0.1 (0.1)
Train: 1 [   0/17 (  6%)]  Loss: 2.39 (2.39)  Time: 0.012s, 5333.33/s  (0.012s, 5333.33/s)  LR: 1.0e-03  Data: 0.0
Train: 1 [  16/17 (100%)]  Loss: 2.39 (2.39)  Time: 0.012s, 5333.33/s  (0.020s, 3200.00/s)  LR: 1.0e-03  Data: 0.0
Train: 2 [  16/17 (100%)]  Loss: 2.39 (2.39)  Time: 0.012s, 5333.33/s  (0.010s, 6400.00/s)  LR: 1.0e-03  Data: 0.0
"""


def test_timms_rate_is_the_mean_of_each_epoch_but_the_first(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(f"import sys\nprint({TIMMS_LOG!r}, file=sys.stderr)\n")
    rate = import_module("_measuring").timms_rate(script, [], 1)
    assert list(rate.windows) == [3200.0, 6400.0]
    assert str(rate) == "4,800 (3,200–6,400, n=2)"


def test_timms_script_that_fails_is_said(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("raise SystemExit('no such model')\n")
    with pytest.raises(SystemExit, match=r"timm's script failed: .*train\.py --x 1\nno such model"):
        import_module("_measuring").timms_rate(script, ["--x", 1], 1)


TRAIN = """
import sys
from timm.data import create_dataset, create_loader

loader = create_loader(create_dataset("", root="nowhere"), input_size=(3, 8, 8), batch_size=4, is_training=True)
assert not hasattr(loader.dataset, "set_epoch")
batches = list(loader)
print(len(loader), len(batches), tuple(batches[0][0].shape), batches[0][1].max() < 1000, sys.argv[1:])
"""


def test_timms_script_can_be_given_random_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm.data

    for name in ("create_dataset", "create_loader"):
        monkeypatch.setattr(timm.data, name, getattr(timm.data, name))  # put back afterwards
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    import_module("timm_on_random").main(["3", "cpu", str(script), "--epochs", "1"])
    assert capsys.readouterr().out == "3 3 (4, 3, 8, 8) tensor(True) ['--epochs', '1']\n"


def test_cifar10_chooses_on_the_held_out_part_and_runs_in_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if not (DATA / "cifar10").is_dir():
        pytest.skip(f"there is no {DATA / 'cifar10'}; ABLATE_TEST_DATA says where test data lies")
    root = Root(tmp_path / "root")
    words = ("--data", DATA / "cifar10", "--images", 200, "--lrs", 1e-3, "--root", root.path)
    run_as_script("cifar10", monkeypatch, *words)
    shown = capsys.readouterr().out
    trials, final = read_all(root.runs / "cifar10-trials"), read_all(root.results)
    assert {record.run["holdout"] for record in trials} == {0.1}
    assert {record.dataset["n_heldout"] for record in trials} == {20}
    assert {(record.run["mixer"], record.run["holdout"]) for record in final} == {("attention", 0), ("patch_ff", 0)}
    assert [row[0] for row in rows(shown)] == ["attention", "patch_ff"]
    assert {row[4] for row in rows(shown)} == {"100"}
    run_as_script("cifar10", monkeypatch, *words, "--minutes", 0)
    assert "Out of time" not in capsys.readouterr().out, "what has a record is not trained again"


TIMMS_SCRIPT = """
import json, sys
words = sys.argv[1:]
assert words[words.index("--opt") + 1] == "adamw", words
print("noise")
print("--result")
print(json.dumps({"infer_samples_per_sec": 10.0, "train_samples_per_sec": 5.0}))
"""


def test_both_are_measured_in_turns_beside_timm_s_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "benchmark.py"
    script.write_text(TIMMS_SCRIPT)
    benchmark = import_module("against_timm_benchmark")
    order: list[str] = []
    theirs = benchmark.theirs
    monkeypatch.setattr(benchmark, "theirs", lambda *given: order.append("timm") or theirs(*given))
    monkeypatch.setattr(benchmark, "ours", lambda *_: order.append("ablate") or {"infer": 20.0, "train": 5.0})
    words = ["--script", script, "--models", "resmlp_12_224", "--precisions", "float32", "--rounds", 2, "--threads", 1]
    run_as_script("against_timm_benchmark", monkeypatch, *words)
    assert order == ["timm", "ablate", "ablate", "timm"]
    inference, training = capsys.readouterr().out.splitlines()[-2:]
    assert inference.split()[:6] == ["resmlp_12_224", "float32", "inference", "10.00", "20.00", "2.000"]
    assert training.split()[3:6] == ["5.00", "5.00", "1.000"]


def test_a_script_that_fails_beside_ours_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "benchmark.py"
    script.write_text("raise RuntimeError('no such model')")
    words = ["--script", script, "--models", "resmlp", "--rounds", 1, "--threads", 1]
    with pytest.raises(SystemExit, match=r"benchmark.py failed:\n(?s:.*)no such model"):
        run_as_script("against_timm_benchmark", monkeypatch, *words)


def test_two_measurements_of_one_thing_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    first = pd.DataFrame(
        {"images_per_s": [100.0, 50.0], "drift": [0.01, 0.02]},
        index=pd.MultiIndex.from_tuples([("attention", "inference"), ("attention", "training")]),
    )
    again = first.assign(images_per_s=[101.0, 40.0])
    assert import_module("speed_repeatability").compare(first, again) == pytest.approx(0.2)
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.split() == ["attention", "training", "50", "40", "0.800", "2.0%", "2.0%"]
