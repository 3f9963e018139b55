"""From a folder with the layout of ImageNet to records of the paper's models, with the commands of docs/imagenet.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import torch
from typer.testing import CliRunner

from ablate import differences, load
from ablate.cli import app
from ablate.spec.recipes import DEIT
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study.study import Study
from tests import small_imagenet
from tests.reference import FeedForwardOnly, redrawn

pytestmark = pytest.mark.slow

DOCUMENT = Path(__file__).parents[2] / "docs" / "imagenet.md"


@dataclass
class Trained:
    """A small version of the study `paper`, trained by the command line with two processes per run."""

    folder: Path
    root: Root
    study: Study
    records: dict[str, Record]
    output: str

    def ablate(self, *words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--root", str(self.root.path)])
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    where = tmp_path_factory.mktemp("route")
    folder, study, root = small_imagenet.folder(where / "in1k"), small_imagenet.study_in(where), Root(where)
    words = ["run", str(study), "--scale", "imagenet", "--data", f"imagenet={folder}", "--root", str(where)]
    how = ["--gpus-per-run", "2", "--device", "cpu", "--workers", "1", "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "ablate", *words, *how],
        capture_output=True,
        text=True,
        env=os.environ | {"ABLATE_CACHE": str(where / "cache")},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = load(study)
    return Trained(folder, root, loaded, small_imagenet.assert_complete(root, loaded), done.stdout)


def test_only_sizes_are_smaller_than_in_the_paper_s_runs(trained: Trained) -> None:
    """All pieces of DeiT's recipe are there: what is tried in small is what is run."""
    pairs = small_imagenet.pairs(trained.study)
    assert len(pairs) == 7
    for small, full in pairs.values():
        assert set(differences(small, full)) <= small_imagenet.SHRUNK | {"heads"}
        pieces = set(DEIT) - small_imagenet.SHRUNK - {"drop"}
        assert {name: getattr(small, name) for name in pieces} == {name: DEIT[name] for name in pieces}
    assert {small.drop for small, _ in pairs.values()} == {0.0, 0.1}


def test_the_folder_is_described_and_recorded(trained: Trained) -> None:
    line = next(line for line in trained.output.splitlines() if line.startswith("imagenet at"))
    assert "1,000 classes, 1,000 images to train on, 1,000 to test on" in line
    assert line.endswith("the published dataset has 1,281,167 and 50,000")
    (fingerprint,) = {record.dataset["fingerprint"] for record in trained.records.values()}
    assert fingerprint in line


def test_nothing_is_left_to_train(trained: Trained) -> None:
    words = ("plan", str(trained.root.path / "paper_small.py"), "--data", f"imagenet={trained.folder}")
    assert "0 of 7 runs to train" in trained.ablate(*words)


def test_one_process_finds_the_loss_that_two_wrote(trained: Trained) -> None:
    """Over the whole validation part, from the weights that the run left.

    By the loss: in fp16, and in batches of another size, one of the 1,000 logits of a model that has learnt nothing may
    overtake the next. The mean over 1,000 images keeps little of an error of 5e-4 in each.
    """
    record = trained.records["FF-Tiny"]
    words = ("evaluate", record.key, "--data", f"imagenet={trained.folder}", "--device", "cpu", "--json")
    found = orjson.loads(trained.ablate(*words, "--batch-size", "128"))
    assert (found["n"], found["fingerprint"]) == (1000, record.dataset["fingerprint"])
    assert found["loss"] == pytest.approx(record.metrics["loss"], rel=1e-4)


def test_the_document_s_study_of_some_models_has_the_paper_s_own_runs(tmp_path: Path) -> None:
    (text,) = re.findall(r'^```python\n(""".*?)^```', DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "smallest.py").write_text(text)
    runs = load(tmp_path / "smallest.py").runs()
    assert len(runs) == 2
    assert set(runs) < set(load("paper").runs("imagenet"))


def test_the_paper_s_table_takes_no_shrunk_run(trained: Trained) -> None:
    rows = orjson.loads(trained.ablate("table", "paper", "--json"))
    assert len(rows) == 10
    assert {row["n"] for row in rows} == {0}
    assert {row["top1"] for row in rows} == {None}


def test_the_full_study_is_refused_by_so_small_a_folder(trained: Trained) -> None:
    words = ("run", "paper", "--scale", "imagenet", "--data", f"imagenet={trained.folder}")
    assert "batch_size must be at most 1000, the training images of imagenet, got 1024" in trained.ablate(
        *words, code=2
    )


def test_released_weights_say_themselves_what_they_are_of(trained: Trained, tmp_path: Path) -> None:
    """The document's command, at 224 pixels; the model is narrow and one block deep for the CPU's sake."""
    path = tmp_path / "linear-tiny-checkpoint.pth"
    torch.save({"model": redrawn(FeedForwardOnly(16, 1, 16)).float().state_dict()}, path)
    words = ("evaluate", str(path), "--data", f"imagenet={trained.folder}", "--workers", "1", "--batch-size", "256")
    found = orjson.loads(trained.ablate(*words, "--device", "cpu", "--json"))
    assert [found[fact] for fact in ("n", "image_size", "eval_crop", "precision")] == [1000, 224, 0.875, "fp32"]
    assert found["fingerprint"] == trained.records["FF-Tiny"].dataset["fingerprint"]
