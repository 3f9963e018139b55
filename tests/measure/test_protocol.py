"""Modes and protocols: what a text asks for, and which measurement answers which request."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from ablate.measure.protocol import BATCHES, BUDGET, FULL, QUICK, WORDS, Mode, matrix
from ablate.spec.errors import SpecError


def test_the_usual_matrix_has_every_mode_once() -> None:
    found = matrix()
    assert len(found) == len(set(found)) == 8
    assert {mode.work for mode in found} == {"inference", "training"}


def test_a_mode_is_found_by_its_name() -> None:
    for words in product(*WORDS.values()):
        mode = Mode(*words)
        assert Mode.of(str(mode)) == Mode.named(str(mode)) == Mode.named(mode.words) == mode
        assert matrix("-".join(reversed(words))) == [mode], "in any order"


def test_words_in_common_stand_for_several_modes() -> None:
    assert {str(mode) for mode in matrix("bf16-training")} == {
        "bf16-eager-nchw-training",
        "bf16-compile-nchw-training",
    }
    assert len(matrix("bf16-training, bf16")) == 4, "each once"
    assert [mode.words for mode in matrix("nhwc-compile-inference-tf32")] == [
        "inference, TensorFloat-32, compiled, channels last"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bf17", "unknown word of a mode 'bf17': did you mean"),
        ("bf16-fp32", "mode 'bf16-fp32' must have one dtype"),
        ("eager-", None),
        ("bf16,,x", "unknown word of a mode 'x'"),
    ],
)
def test_a_wrong_mode_is_a_sentence(text: str, told: str | None) -> None:
    if told is None:
        assert matrix(text)
        return
    with pytest.raises(SpecError, match=told):
        matrix(text)


def test_one_mode_is_not_several() -> None:
    with pytest.raises(SpecError, match="mode must be four words such as"):
        Mode.of("bf16")
    with pytest.raises(SpecError, match="unknown dtype"):
        Mode("fp8")


def test_the_full_protocol_is_that_of_the_document() -> None:
    assert FULL.rounds >= 5
    assert FULL.window_s >= 2
    assert (FULL.warmup_s, FULL.warmup_steps, FULL.warmup_most_s, FULL.agreement) == (3, 10, 60, 0.02)


def test_a_thorough_measurement_answers_a_lesser_request_and_not_the_other_way() -> None:
    assert QUICK.met_by(FULL.to_dict())
    assert BUDGET.met_by(FULL.to_dict())
    assert QUICK.met_by(BUDGET.to_dict())
    assert not FULL.met_by(QUICK.to_dict())
    assert not FULL.met_by(replace(FULL, agreement=0.1).to_dict())
    assert not FULL.met_by(replace(FULL, window_s=1.0).to_dict())


@pytest.mark.parametrize("kind", BATCHES)
def test_a_ladder_has_a_latency_and_each_size_once(kind: str) -> None:
    assert 1 in BATCHES[kind][1:], "the headline is no single picture"
    assert len(set(BATCHES[kind])) == len(BATCHES[kind])
