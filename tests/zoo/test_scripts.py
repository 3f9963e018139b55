"""timm's scripts run with the models of ablate, and a user's mistakes are reported in one sentence."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ablate.zoo.scripts import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

# What timm's train.py and validate.py do with a model, on noise.
SCRIPT = '''
import argparse, ast, sys
import torch
from timm.data import resolve_data_config
from timm.models import create_model, load_checkpoint
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3, ParseKwargs, random_seed
import helper

parser = argparse.ArgumentParser()
parser.add_argument("--model")
parser.add_argument("--drop", type=float, default=0.0)
parser.add_argument("--gp", default=None)
parser.add_argument("--checkpoint", default="")
parser.add_argument("--model-kwargs", nargs="*", default={}, action=ParseKwargs)
args = parser.parse_args()
random_seed(42, 0)
model = create_model(
    args.model, pretrained=False, in_chans=3, num_classes=5, drop_rate=args.drop, drop_path_rate=None,
    drop_block_rate=None, global_pool=args.gp, bn_momentum=None, bn_eps=None, scriptable=False,
    checkpoint_path=args.checkpoint, **args.model_kwargs,
)
resolve_data_config(vars(args), model=model)
ema = ModelEmaV3(model, decay=0.9)
optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05)
images, labels = torch.randn(4, 3, 32, 32), torch.arange(4)
losses = []
for _ in range(8):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    ema.update(model)
    losses.append(loss.item())
assert losses[-1] < losses[0]
torch.save({"state_dict": model.state_dict(), "args": args}, helper.WHERE)
load_checkpoint(ema.module, helper.WHERE)
print(__name__, args.model, model.pos_drop.p, model.patch_embed.proj.weight.std().isfinite().item())
sys.exit(3)
'''  # fmt: skip
SMALL_ARGS = ["img_size=32", "patch_size=8", "dim=32", "depth=2", "heads=4"]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Write a script and a module next to it, as in timm's repository."""
    (tmp_path / "helper.py").write_text(f"WHERE = {str(tmp_path / 'out.pth')!r}\n")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_a_script_runs_with_the_models(script: Path) -> None:
    """As a user starts it: in an interpreter of its own, whose exit code is the script's."""
    command = [sys.executable, "-m", "ablate.timm", script, "--model", "linear_tiny", "--drop", "0.1"]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, "--model-kwargs", *SMALL_ARGS],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        cwd=script.parent,
    )
    assert (done.returncode, done.stdout) == (3, "__main__ linear_tiny 0.1 True\n"), done.stderr


@pytest.fixture
def _clean_helper() -> Iterator[None]:
    """Unload the module next to the script, which the next test replaces."""
    yield
    sys.modules.pop("helper", None)


@pytest.mark.usefixtures("_clean_helper")
def test_the_familys_fields_are_model_kwargs(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv, path = list(sys.argv), list(sys.path)
    with pytest.raises(SystemExit, match="3"):
        main([str(script), "--model", "ablate_tiny", "--model-kwargs", "mixer=pool", "pool=avg", *SMALL_ARGS])
    assert capsys.readouterr().out == "__main__ ablate_tiny 0.0 True\n"
    assert (sys.argv, sys.path) == (argv, path)


@pytest.mark.usefixtures("_clean_helper")
def test_a_users_mistake_in_a_script_is_reported(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(script), "--model", "ablate_tiny", "--model-kwargs", "mixer=pol"]) == 2
    assert capsys.readouterr().err.startswith("ablate: unknown mixer 'pol': did you mean 'pool'?")


@pytest.mark.usefixtures("_clean_helper")
def test_a_refused_weight_file_is_reported(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script.parent / "bad.pth"
    torch.save({"model": {}, "extra": pickle.Pickler}, path)
    assert main([str(script), "--model", "linear_tiny", "--checkpoint", str(path), "--model-kwargs", *SMALL_ARGS]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ablate: a weight file is refused: ")
    assert error.count("\n") == 1


def test_a_scripts_own_error_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('its own')\n")
    with pytest.raises(RuntimeError, match="its own"):
        main([str(tmp_path / "broken.py")])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([], "the path of a script is missing; "), (["gone.py", "--x"], "there is no script gone.py; ")],
)
def test_a_missing_script_is_reported(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ablate: {sentence}pass the path of timm's train.py")
    assert error.count("\n") == 1
