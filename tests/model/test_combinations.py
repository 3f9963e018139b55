"""Every valid combination of parts builds, trains a step and has gradients; every invalid one is refused.

The suite walks through a sample in which every pair of values occurs; `python -m tests.test_combinations` through all.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
import torch
from torch import nn

from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.run import Run
from ablate.train.optim import optimiser
from tests.tiny import LEGAL_POOLS, TINY

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = TINY.replace(image_size=8, patch_size=4, dim=8, depth=1)
KNOBS: dict[str, list[Any]] = {
    "mixer": list(MIXERS),
    "channel": list(CHANNELS),
    "order": ["token_first", "channel_first"],
    "token_norm": ["channel", "token"],
    "channel_norm": ["channel", "token"],
    "pooling": [*LEGAL_POOLS, ("cls", False)],
    "stem": list(STEMS),
    "pos_embed": ["learned", "none", "sincos"],
}
Choice = tuple[Any, ...]


def legal(choice: Choice) -> bool:
    chosen = dict(zip(KNOBS, choice, strict=True))
    return (chosen["mixer"], chosen["channel"]) != ("none", "none") and chosen["pooling"] in LEGAL_POOLS


ALL = list(product(*KNOBS.values()))
LEGAL = [choice for choice in ALL if legal(choice)]


def fields(choice: Choice) -> dict[str, Any]:
    chosen = dict(zip(KNOBS, choice, strict=True))
    pool, before = chosen.pop("pooling")
    return chosen | {"pool": pool, "norm_before_pool": before}


def pairs(choice: Choice) -> set[tuple[Any, ...]]:
    return set(combinations(enumerate(choice), 2))


def sample(every: int = 60) -> list[Choice]:
    """A few of all, evenly, then each that has a pair of values not met yet, until all pairs are met."""
    found = LEGAL[::every]
    missing = set.union(*map(pairs, LEGAL)) - set.union(*map(pairs, found))
    for choice in LEGAL:
        if new := pairs(choice) & missing:
            found.append(choice)
            missing -= new
    return found


def train_a_step(run: Run) -> None:
    """Builds, gives logits, and a finite gradient to every trainable parameter; a step moves those alone."""
    torch.manual_seed(0)
    model = build(run, 1, 3)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    logits = model(torch.randn(4, 1, run.image_size, run.image_size))
    assert logits.shape == (4, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    optimizer = optimiser(run, model)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    optimizer.step()
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in trained) == parameter.requires_grad, name
        assert parameter.requires_grad or torch.equal(parameter, before[name]), name
    assert any(not torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_the_sample_meets_every_pair_that_is_legal() -> None:
    met = set.union(*map(pairs, sample()))
    values = [[(at, value) for value in values] for at, values in enumerate(KNOBS.values())]
    expected = {pair for one, other in combinations(values, 2) for pair in product(one, other)}
    refused = {((0, "none"), (1, "none"))} | {pair for pair in expected if (5, ("cls", False)) in pair}
    assert expected - met == refused


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_legal_combination_trains_a_step(mixer: str) -> None:
    mine = [choice for choice in sample() if choice[0] == mixer]
    assert len(mine) >= 6
    for choice in mine:
        run = SMALL.replace(**fields(choice))
        try:
            train_a_step(run)
        except (AssertionError, RuntimeError) as error:
            raise AssertionError(f"{fields(choice)}: {error}") from error


def test_an_illegal_combination_is_refused() -> None:
    for choice in ALL:
        if legal(choice):
            assert SMALL.replace(**fields(choice)).mixer == choice[0]
        else:
            with pytest.raises(
                SpecError, match=r"both 'none', which leaves an empty block|norm_before_pool must be True"
            ):
                SMALL.replace(**fields(choice))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for at, one in enumerate(LEGAL, start=1):
        train_a_step(SMALL.replace(**fields(one)))
        print(f"\r{at} of {len(LEGAL)}", end="", flush=True)
    print()
