"""What is measured: each architecture of a study once, named models, timm's."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from ablate.measure.subjects import GROUPS, MODELS, Subject, of_names, of_study, of_timm
from ablate.model.cost import complexity
from ablate.spec.errors import SpecError
from ablate.spec.parts import MIXERS
from ablate.spec.plugins import use
from ablate.study.load import load
from tests.tiny import TINY, VARIANTS


def test_a_study_s_architectures_come_once_the_control_first() -> None:
    study = load("quickstart")
    assert [subject.label for subject in of_study(study)] == ["attention", "patch_ff", "none"]
    assert {(subject.channels, subject.classes) for subject in of_study(study)} == {(1, 10)}
    assert {(subject.channels, subject.classes) for subject in of_study(study, "imagenet")} == {(3, 1000)}


def test_a_key_is_of_shape_input_and_head_alone() -> None:
    one = Subject("a", TINY, "", 1, 10)
    assert one.key == Subject("b", TINY.replace(lr=0.5, seed=3), "", 1, 10).key
    others = [
        Subject("a", TINY.replace(dim=32), "", 1, 10),
        Subject("a", TINY, "", 3, 10),
        Subject("a", TINY, "", 1, 100),
        Subject("a", timm="resmlp_12_224"),
    ]
    assert len({subject.key for subject in [one, *others]}) == 5


@pytest.mark.parametrize("name", VARIANTS)
def test_a_request_travels_as_json(name: str) -> None:
    subject = Subject(name, VARIANTS[name], "", 1, 10)
    assert Subject.from_dict(orjson.loads(orjson.dumps(subject.request()))) == subject


def test_a_mixer_in_a_file_of_the_user_s_own_travels_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MIXERS, "_modules", dict(MIXERS._modules))
    monkeypatch.setattr(MIXERS, "_paths", dict(MIXERS._paths))
    path = tmp_path / "own_for_speed.py"
    path.write_text(
        "BEHAVIOUR = 1\ndef layer(run, tokens): ...\ndef macs(run, tokens): ...\ndef activations(run, tokens): ...\n"
    )
    use(path)
    subject = Subject("own", TINY.replace(mixer="own_for_speed"), "", 1, 10)
    assert subject.request()["files"] == {"mixer": str(path)}


@pytest.mark.parametrize("name", MODELS)
def test_named_models_have_imagenet_s_size(name: str) -> None:
    (subject,) = of_names([name])
    assert subject.run
    assert (subject.run.image_size, subject.channels, subject.classes) == (224, 3, 1000)


def test_the_paper_s_family_has_the_paper_s_parameters() -> None:
    found = {s.label: complexity(s.run, 3, 1000)["params"] for s in of_names(["paper"]) if s.run}
    assert list(found) == list(GROUPS["paper"])
    assert list(found.values()) == [
        5_717_416, 7_676_332, 86_567_656, 61_943_020, 306_535_400,
        206_363_576 - (196 - 49) * 1024,  # the released code keeps a map of 14 × 14 positions and shrinks it
        4_039_360,
    ]  # fmt: skip


def test_every_mixer_is_there_at_two_sizes() -> None:
    found = of_names(["mixers"])
    assert {subject.run.mixer for subject in found if subject.run} == set(MIXERS)
    assert len({subject.key for subject in found}) == 2 * len(MIXERS)


def test_a_named_model_with_fields_changed() -> None:
    (subject,) = of_names(["ablate_tiny:mixer=pool:pool=avg:norm_before_pool=True:token_ratio=0.5"])
    assert subject.run
    changed = (subject.run.mixer, subject.run.pool, subject.run.norm_before_pool, subject.run.token_ratio)
    assert changed == ("pool", "avg", True, 0.5)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("linear_tni", "unknown model 'linear_tni': did you mean 'linear_tiny'"),
        ("ablate_tiny:mixer", "a change to a model must be FIELD=VALUE, got 'mixer'"),
        ("ablate_tiny:mixxer=pool", "unknown field that shapes a model 'mixxer'"),
        ("ablate_tiny:dim=wide", "dim must be a whole number, got 'wide'"),
    ],
)
def test_a_wrong_name_is_a_sentence(name: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        of_names([name])


def test_timm_s_models_go_by_their_name() -> None:
    (subject,) = of_timm(["resmlp_12_224"])
    assert (subject.label, subject.run, subject.timm) == ("resmlp_12_224", None, "resmlp_12_224")
    with pytest.raises(
        SpecError,
        match=r"timm has no model 'resmlp_12': did you mean 'resmlp_\d\d_224'\? timm.list_models",
    ):
        of_timm(["resmlp_12"])
