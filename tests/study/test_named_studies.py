"""The studies in `studies/`: what each must have, and that it can be run at each of its scales."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ablate.study.load import load, named

FOLDER = Path(__file__).parents[2] / "studies"
STUDIES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
SCALES = ["digits", "cifar10", "imagenet"]
OF_DIGITS = ["mixing_pairs"]  # its pictures are made of digits: there is no other scale
NAMED = (
    "channel data_size depth fidelity matched mixing mixing_pairs paper patch_size quickstart recipe sequence_length "
    "stem tuning"
)


def test_the_studies_are_those_the_docs_name() -> None:
    assert NAMED.split() == STUDIES
    assert set(STUDIES) <= set(named())


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_a_short_file_over_the_public_names(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"ablate"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert len(text.splitlines()) <= 66


@pytest.mark.parametrize("name", STUDIES)
def test_its_docstring_asks_names_the_commands_and_says_what_came_out(name: str) -> None:
    words = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    assert words.splitlines()[0].endswith((".", "?"))
    study = load(name)
    assert f"ablate {'bench' if study.benchmark_only else 'run'} {name}" in words
    for scale in study.scales:
        assert f"--scale {scale}" in words or scale == "digits"


@pytest.mark.parametrize("name", STUDIES)
def test_it_has_three_scales_claims_and_a_question(name: str) -> None:
    study = load(name)
    assert list(study.scales) == (SCALES[:1] if name in OF_DIGITS else SCALES)
    assert study.question.endswith("?")
    for scale in study.scales:
        assert study.claims_at(scale)


@pytest.mark.parametrize("name", STUDIES)
def test_its_variants_and_runs_are_as_many_as_they_should_be(name: str) -> None:
    study = load(name)
    for scale in study.scales:
        variants, runs = study.variants(scale), study.runs(scale)
        assert len({run.key for run in runs}) == len(runs) == len(variants) * study.seed_count(scale)
        assert len({variant.label for variant in variants}) == len(variants), "labels are names"


@pytest.mark.parametrize("name", STUDIES)
def test_a_sentence_of_a_claim_is_said_once_at_a_scale(name: str) -> None:
    study = load(name)
    for scale in study.scales:
        sentences = [claim.sentence for claim in study.claims_at(scale)]
        assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_with_the_mixer_none_keeps_the_tokens_apart(name: str) -> None:
    """With a class token such a model does not depend on the image; a norm after the pooling couples the tokens."""
    study = load(name)
    for scale in study.scales:
        variants = study.variants(scale)
        if any(variant.run.mixer == "none" for variant in variants):
            apart = [variant.run for variant in variants if "after the pooling" not in variant.label]
            assert all(run.pool == "avg" and run.norm_before_pool for run in apart)


@pytest.mark.parametrize("name", [name for name in STUDIES if name not in OF_DIGITS])
def test_imagenet_is_the_recipe_of_deit(name: str) -> None:
    base = load(name).base("imagenet")
    assert base["dataset"] == "imagenet"
    if not load(name).benchmark_only:
        assert (base["epochs"], base["batch_size"], base["auto_augment"]) == (300, 1024, "rand-m9-mstd0.5-inc1")
