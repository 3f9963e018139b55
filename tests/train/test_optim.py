"""Parameters with weight decay, and the learning rate of every epoch."""

from __future__ import annotations

import math

import pytest
from torch import nn

from ablate.model.build import build
from ablate.spec.run import Run
from ablate.train.optim import optimiser, schedule
from tests.tiny import DISTINCT, TINY, VARIANTS


def rates(run: Run) -> list[float]:
    """The learning rate each epoch is trained with."""
    optimizer = optimiser(run, build(run, 1, 10))
    scheduler, found = schedule(run, optimizer), []
    for epoch in range(run.epochs):
        found.append(optimizer.param_groups[0]["lr"])
        scheduler.step(epoch + 1)
    assert {group["lr"] for group in optimizer.param_groups} == {optimizer.param_groups[0]["lr"]}
    return found


def cosine(run: Run, epoch: int) -> float:
    return run.min_lr + 0.5 * (run.lr - run.min_lr) * (1 + math.cos(math.pi * epoch / run.epochs))


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_a_linear_warm_up_then_a_cosine_by_the_epoch(warmup: int) -> None:
    run = TINY.replace(epochs=10, warmup_epochs=warmup, lr=1e-2, warmup_lr=1e-4, min_lr=1e-3)
    climb = [run.warmup_lr + epoch * (run.lr - run.warmup_lr) / warmup for epoch in range(warmup)]
    assert rates(run) == pytest.approx(climb + [cosine(run, epoch) for epoch in range(warmup, 10)])


def test_a_peak_below_the_floor_stays_where_it_is() -> None:
    """min_lr and warmup_lr of another size of model must not raise a small lr."""
    run = TINY.replace(epochs=4, warmup_epochs=2, lr=1e-6, warmup_lr=1e-5, min_lr=1e-5)
    assert rates(run) == pytest.approx([1e-6] * 4)


def test_a_run_of_one_epoch_has_the_peak_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    run = TINY.replace(epochs=1, lr=1e-2, min_lr=1e-3)
    assert rates(run) == pytest.approx([1e-2])
    assert not caplog.records


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
@pytest.mark.parametrize("variant", DISTINCT)
@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_matrices_are_decayed_and_nothing_else(variant: str, pool: str, opt: str) -> None:
    run = VARIANTS[variant].replace(pool=pool, opt=opt, weight_decay=0.3)
    model = build(run, 1, 10)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    by_decay = decayed(run, model)
    assert set(by_decay) == {0.0, 0.3}
    assert by_decay[0.0] | by_decay[0.3] == set(trained), "every parameter that is trained is in one group"
    embeddings = {"pos_embed", "cls_token"}
    assert by_decay[0.0] == {n for n, p in trained.items() if p.dim() < 2 or n in embeddings}
    assert "head.weight" in by_decay[0.3]


def decayed(run: Run, model: nn.Module) -> dict[float, set[str]]:
    """The names of the parameters the optimiser holds, by their weight decay; each is held once."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = optimiser(run, model).param_groups
    return {group["weight_decay"]: {names.pop(id(p)) for p in group["params"]} for group in groups}


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"pool": "cls"}, {"pos_embed"}),
        ({"pool": "avg"}, {"pos_embed"}),
        ({"pool": "cls", "mixer": "gating", "stem": "conv"}, {"pos_embed"}),
    ],
    ids=str,
)
def test_decay_pos_embed_moves_the_position_embedding_and_nothing_else(
    changes: dict[str, str], moves: set[str]
) -> None:
    spared, also = (TINY.replace(decay_pos_embed=decay, weight_decay=0.3, **changes) for decay in (False, True))
    before, after = (decayed(run, build(run, 1, 10)) for run in (spared, also))
    assert before[0.0] - after[0.0] == after[0.3] - before[0.3] == moves
    assert after[0.0] < before[0.0]
    assert before[0.3] < after[0.3]


@pytest.mark.parametrize(("opt", "name"), [("adamw", "AdamW"), ("sgd", "SGD")])
def test_the_optimiser_is_the_requested_one(opt: str, name: str) -> None:
    run = TINY.replace(opt=opt)
    found = optimiser(run, build(run, 1, 10))
    assert type(found).__name__ == name
    if opt == "adamw":
        assert found.defaults["betas"] == (0.9, 0.999)
        assert found.defaults["eps"] == 1e-8
    else:
        assert found.param_groups[0]["momentum"] == 0.9
