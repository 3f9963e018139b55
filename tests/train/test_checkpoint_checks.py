"""A checkpoint whose file is whole and whose content is not is passed over for the previous one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.spec.resources import Resources
from ablate.train import checkpoint
from ablate.train.checkpoint import Checkpoints
from ablate.train.checkpoint_checks import KINDS
from ablate.train.errors import Interrupted
from ablate.train.execute import execute
from tests.tiny import TINY

RUN = TINY.replace(batch_size=320, ema=0.9)  # two epochs of three steps
Change = Callable[[dict[str, Any]], object]


def setting(**values: Any) -> Change:
    return lambda state: state.update(values)


def moments_of_another_parameter(state: dict[str, Any]) -> None:
    state["optimizer"]["state"][999] = {}


CHANGES: dict[str, Change] = {
    **{f"no {name}": lambda state, name=name: state.pop(name) for name in KINDS},
    "step -5": setting(step=-5),
    "step 999": setting(step=999),
    "step of an earlier one": setting(step=0),
    "step false": setting(epoch=1, step=False),
    "step as a float": setting(step=1.0),
    "step as text": setting(step="1"),
    "step as a tensor": setting(step=torch.tensor(1)),
    "epoch 999": setting(epoch=999),
    "epoch -1": setting(epoch=-1),
    "epoch null": setting(epoch=None),
    "key as a number": setting(key=7),
    "fields of another run": setting(run=TINY.to_dict()),
    "fields of no run": setting(run={"mixer": ["x"], "nonsense": 1}),
    "no history": setting(history=[]),
    "history of numbers": setting(history=[1]),
    "history of text": setting(history=[{"epoch": 1, "train_loss": "a"}]),
    "a loss that is none": setting(loss_sums=[float("nan")]),
    "no losses": setting(loss_sums=[]),
    "text as seconds": setting(total_s="x"),
    "corrupt images by name": setting(broken=["a"]),
    "no conditions": setting(conditions=[]),
    "conditions as text": setting(conditions=["x"]),
    "no weights": setting(model={}),
    "weights of another shape": lambda state: state["model"].update(dict.fromkeys(state["model"], torch.ones(3))),
    "weights that are numbers": lambda state: state["model"].update(dict.fromkeys(state["model"], 1)),
    "no average": setting(ema=None),
    "no optimiser": setting(optimizer={}),
    "another optimiser": lambda state: state["optimizer"]["param_groups"].pop(),
    "groups of another kind": lambda state: state["optimizer"].update(param_groups=7),
    "moments of another parameter": moments_of_another_parameter,
    "moments of another kind": lambda state: state["optimizer"].update(state=[1]),
    "a scaler of another precision": setting(scaler={"scale": 1.0}),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, dict[str, Any]]]:
    """The content of the checkpoints after four and five steps."""
    folder = tmp_path_factory.mktemp("written")

    def stop(state: dict[str, Any]) -> None:
        if state["epoch"] == 1 and state["step"] == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        execute(RUN, Resources(checkpoint_minutes=0), stop, Checkpoints(folder))
    paths = sorted((folder / "checkpoints").iterdir())
    taken = [int(path.stem.partition("-")[2]) for path in paths]
    assert taken == [4, 5]
    return [(step, checkpoint.read(path)) for step, path in zip(taken, paths, strict=True)]


@pytest.mark.parametrize("change", CHANGES)
def test_the_previous_one_is_used(
    change: str, written: list[tuple[int, dict[str, Any]]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (old, sound), (new, state) = written
    checkpoint.save(tmp_path / "checkpoints", 1, old, sound)
    path = checkpoint.save(tmp_path / "checkpoints", 1, new, state)
    damaged = checkpoint.read(path)
    CHANGES[change](damaged)
    checkpoint.write(path, damaged)
    resumed: list[dict[str, Any]] = []

    def stop(found: dict[str, Any]) -> None:
        resumed.append(found)
        raise Interrupted

    with pytest.raises(Interrupted):
        execute(RUN, Resources(), stop, Checkpoints(tmp_path, 2))
    assert resumed[0]["resumed_s"] == sound["total_s"]
    assert (resumed[0]["epoch"], resumed[0]["step"]) == (1, 1)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{path} is damaged: ")
    assert warnings[0].endswith("; using the previous checkpoint")


def test_a_sound_one_is_used(written: list[tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    step, state = written[1]
    checkpoint.save(tmp_path / "checkpoints", 1, step, state)
    record = execute(RUN, Resources(), checkpoints=Checkpoints(tmp_path, 2))
    assert record.metrics == execute(RUN, Resources()).metrics
