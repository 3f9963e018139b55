"""`ablate evaluate` from the command line: its table, its JSON, and sentences for mistakes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import timm
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from ablate.cli import app
from ablate.model.build import build
from ablate.spec.resources import Resources
from ablate.store.root import Root
from ablate.train.checkpoint import Checkpoints
from ablate.train.execute import execute
from tests.tiny import TINY, image_folder

pytestmark = pytest.mark.usefixtures("one_thread")


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, ["evaluate", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def sentence(*words: str) -> str:
    """Return the one line that a wrong request prints."""
    result = CliRunner().invoke(app, ["evaluate", *words])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Return --data for a folder of two classes with nine test images each."""
    return f"colours={image_folder(tmp_path / 'colours', {'a': 2, 'b': 2}, {'a': 9, 'b': 9})}"


@pytest.fixture
def weights(root: Root) -> Path:
    """Write the weights file of `TINY`, untrained."""
    path = root.run_folder(TINY.key) / "weights.pt"
    path.parent.mkdir()
    state = build(TINY, 1, 10).state_dict()
    spoilt = {name: torch.zeros_like(value) for name, value in state.items()}
    content = {"run": TINY.to_dict(), "channels": 1, "classes": list("0123456789"), "model": state, "ema": spoilt}
    torch.save(content, path)
    return path


def test_a_timm_model(data: str) -> None:
    head, row, weights = shown("test_vit", "--data", data).splitlines()
    assert head.split() == ["MODEL", "DATA", "SPLIT", "N", "TOP-1", "TOP-5", "LOSS"]
    assert row.split()[:4] == ["test_vit", "colours", "test", "18"]
    assert row.split()[5] == "100.00", "both classes are in the top five"
    assert weights == "weights: random"


def test_weights_that_cannot_be_checked_or_give_no_numbers_are_remarked_on(data: str, tmp_path: Path) -> None:
    state = timm.create_model("test_vit", num_classes=2).state_dict()
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    words = ("test_vit", "--data", data, "--weights", str(path))
    assert shown(*words).splitlines()[2:] == ["weights: weights.safetensors (unchecked: the file has no checksums)"]
    save_file(state | {"head.bias": torch.full((2,), float("inf"))}, path)
    assert shown(*words).splitlines()[3].startswith("some logits are not finite, so the accuracy means nothing; try")
    assert orjson.loads(shown(*words, "--json"))["weights_checked"] is False


def test_as_json(data: str) -> None:
    words = ("--data", data, "--json", "--split", "train", "--image-size", "32", "--eval-crop", "0.5")
    found = orjson.loads(shown("test_vit", *words, "--precision", "bf16", "--batch-size", "3", "--device", "cpu"))
    assert {"top1", "top5", "loss"} < set(found)
    assert {name: found[name] for name in ("model", "dataset", "split", "n", "classes", "broken")} == {
        "model": "test_vit", "dataset": "colours", "split": "train", "n": 4, "classes": 2, "broken": 0,
    }  # fmt: skip
    assert [found[name] for name in ("image_size", "eval_crop", "precision", "device")] == [32, 0.5, "bf16", "cpu"]
    assert len(found["fingerprint"]) == 16
    assert found["weights"] == "random"


def test_a_run_has_a_default_dataset(weights: Path, root: Root) -> None:
    found = orjson.loads(shown(TINY.key[:6], "--root", str(root.path), "--json"))
    assert (found["dataset"], found["n"], found["image_size"]) == ("digits_shifted", 360, 12)
    assert orjson.loads(shown(str(weights), "--data", "digits_shifted", "--split", "heldout", "--json"))["n"] == 288
    averaged = orjson.loads(shown(TINY.key, "--root", str(root.path), "--json", "--ema"))
    assert averaged["loss"] == pytest.approx(2.302585, abs=1e-5), "a model of zeros gives equal probabilities"


def test_the_numbers_are_those_of_the_record(root: Root) -> None:
    run = TINY.replace(ema=0.9)
    record = execute(run, Resources(), checkpoints=Checkpoints(root.run_folder(run.key)))
    words = (run.key, "--root", str(root.path), "--json", "--batch-size", str(run.batch_size))
    last, averaged, held_out = (orjson.loads(shown(*words, *more)) for more in ((), ("--ema",), ("--split", "heldout")))
    names = ("n", "top1", "top5", "loss")
    assert {name: last[name] for name in names} == {name: record.metrics[name] for name in names}
    assert averaged["top1"] == record.metrics["ema_top1"]
    assert held_out["top1"] == record.metrics["heldout_top1"]
    assert last["loss"] != averaged["loss"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), "evaluate needs a dataset; add --data NAME=PATH"),
        (("--data", "=x"), "--data must be NAME or NAME=PATH, got '=x'"),
        (("--data", "x="), "--data must be NAME or NAME=PATH, got 'x='"),
        (("--data", "nowhere"), "unknown dataset 'nowhere'"),
        (("--data", "x=nowhere"), "nowhere"),
        (("--data", "digits", "--batch-size", "0"), "--batch-size must be 1 or more, got 0"),
        (("--data", "digits", "--image-size", "0"), "--image-size must be 1 or more, got 0"),
        (("--data", "digits", "--eval-crop", "2"), "--eval-crop must be above 0 and at most 1, got 2"),
        (("--data", "digits", "--device", "gpu"), "mps, xpu or xpu:N, got 'gpu'"),
        (("--data", "digits", "--workers", "-1"), "--workers must be 0 or more, got -1"),
        (("--data", "digits", "--ema"), "--ema needs --weights; test_vit alone has no averaged weights"),
        (("--data", "digits", "--weights", "nowhere.pth"), "there is no weight file nowhere.pth"),
        (("--data", "digits", "--device", "meta"), "mps, xpu or xpu:N, got 'meta'"),
        (("--data", "digits", "--weights", __file__), "test_evaluate.py is refused: it is not a pickle of tensors"),
        (("--data", "digits", "--weights", "x", "--pretrained"), "--weights and --pretrained cannot be combined"),
        (("--data", "digits", "--pretrained"), "test_vit must have 10 classes, as the data, got 1,000"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(words: tuple[str, ...], wanted: str) -> None:
    assert wanted in sentence("test_vit", *words)


def test_a_tag_that_timm_does_not_know_is_a_sentence() -> None:
    assert sentence("test_vit.gone", "--data", "digits") == (
        "ablate: timm has no weights 'gone' for test_vit; known are test_vit.r160_in1k"
    )


def test_a_text_is_no_weight_file(tmp_path: Path) -> None:
    """This one makes torch's unpickler stumble over its own stack."""
    path = tmp_path / "text.pth"
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    words = ("--data", "digits", "--weights", str(path))
    assert "text.pth cannot be read as a weight file: " in sentence("test_vit", *words)


def test_weights_cannot_be_given_twice(weights: Path) -> None:
    assert "--weights needs a timm model; " in sentence(str(weights), "--weights", str(weights))
    assert "--pretrained needs a timm model; " in sentence(str(weights), "--pretrained")


def test_a_model_that_is_not_there(root: Root) -> None:
    wanted = "there is no model, weight file or run 'test_vitt': did you mean 'test_vit'?"
    assert wanted in sentence("test_vitt", "--data", "digits", "--root", str(root.path))


def test_another_data_set_for_a_run(weights: Path, data: str) -> None:
    assert "must have 2 classes, as the data, got 10" in sentence(str(weights), "--data", data)
