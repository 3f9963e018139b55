"""Parts in the user's own files: registration, messages, and use by workers in other processes."""

from __future__ import annotations

import textwrap
from pathlib import Path

import orjson
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

import ablate
from ablate import use
from ablate.cli import app
from ablate.dispatch.notes import failure_of
from ablate.dispatch.worker import request, requested, work
from ablate.model.build import build
from ablate.model.cost import complexity, macs
from ablate.spec.errors import SpecError
from ablate.spec.plugins import SLOTS, files_of
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.store.root import Root
from ablate.study.load import load
from tests.model.test_combinations import train_a_step
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("own_files")

DOCUMENT = Path(ablate.__file__).parent.parent / "docs" / "extending.md"
MIXER, STUDY, *_ = (part.split("```")[0] for part in DOCUMENT.read_text(encoding="utf-8").split("```python\n")[1:])


@pytest.fixture
def mean(tmp_path: Path) -> Path:
    """Write the mixer of docs/extending.md to a file."""
    path = tmp_path / "mixers" / "mean.py"
    path.parent.mkdir()
    path.write_text(MIXER)
    return path


def test_the_documented_mixer_is_short_and_computes_the_mean(mean: Path) -> None:
    assert len([line for line in MIXER.splitlines() if line.strip()]) <= 22
    assert use(mean) == "mean"
    layer = build(TINY.replace(mixer="mean"), 1, 10).blocks[0].attn
    x = torch.randn(2, 9, 16)
    torch.testing.assert_close(layer(x), layer.proj(x.mean(1))[:, None].expand(2, 9, 16))


@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_the_documented_mixer_trains_a_step_and_costs_what_torch_counts(mean: Path, pool: str) -> None:
    use(mean)
    run = TINY.replace(mixer="mean", pool=pool)
    train_a_step(run)
    model = build(run, 3, 7)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 12, 12))
    assert macs(run, 3, 7) == counter.get_total_flops() // 2
    cost = complexity(run, 3, 7)
    assert cost["params"] == sum(parameter.numel() for parameter in model.parameters())
    assert cost["activations"] - complexity(run.replace(mixer="none"), 3, 7)["activations"] == 2 * 16


def test_the_documented_study_loads_with_its_mixer(mean: Path) -> None:
    (mean.parent.parent / "my_study.py").write_text(STUDY)
    study = load(mean.parent.parent / "my_study.py")
    assert [variant.run.mixer for variant in study.variants()] == ["attention", "mean", "none"]


def test_every_slot_takes_a_file(tmp_path: Path) -> None:
    for slot, registry in SLOTS.items():
        usual = {"mixer": "linear", "channel": "ff", "stem": "patchify"}[slot]
        (tmp_path / f"my_{slot}.py").write_text(registry.path(usual).read_text())
        name = use(tmp_path / f"my_{slot}.py", slot)
        run = TINY.replace(**{slot: name})
        train_a_step(run)
        assert files_of(run) == {slot: str(tmp_path / f"my_{slot}.py")}
        assert run.key != TINY.replace(**{slot: usual}).key
        assert complexity(run, 1, 10) == complexity(TINY.replace(**{slot: usual}), 1, 10)
    assert files_of(TINY) == {}


def test_a_path_is_relative_to_the_callers_folder_else_the_current_one(
    mean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from ablate import use\nuse('mean.py')"
    exec(code, {"__file__": str(mean.parent / "study.py")})
    with pytest.raises(SpecError, match=r"there is no mixer file mean\.py; it must be a \.py file, tried /.*and"):
        exec(code, {"__file__": "/elsewhere/study.py"})
    monkeypatch.chdir(mean.parent)
    exec(code, {"__file__": "/elsewhere/study.py"})
    exec(code, {})  # a notebook has no file
    assert "mean" in SLOTS["mixer"]


def test_a_file_may_be_used_twice_but_two_files_of_one_name_are_refused(mean: Path) -> None:
    use(mean)
    use(str(mean))
    assert SLOTS["mixer"]["mean"] is SLOTS["mixer"]["mean"]
    other = mean.parent / "other" / "mean.py"
    other.parent.mkdir()
    other.write_text(MIXER)
    with pytest.raises(SpecError, match=rf"mixer 'mean' is defined twice: in {mean} and in {other}; rename one"):
        use(other)
    taken = mean.with_name("attention.py")
    taken.write_text(MIXER)
    with pytest.raises(
        SpecError, match=r"mixer 'attention' is defined twice: in ablate\.model\.mixers\.attention and in /"
    ):
        use(taken)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (MIXER.replace("BEHAVIOUR = 1", ""), r"mean\.py assigns no BEHAVIOUR; add a line such as BEHAVIOUR = 1"),
        (
            MIXER.replace("def layer", "def lair"),
            r"mean\.py must define layer; the file of a mixer defines BEHAVIOUR, layer",
        ),
        (MIXER.replace("def macs", "def max"), r"mean\.py must define macs; the file of a mixer defines"),
        ("BEHAVIOUR = 1", r"mean\.py must define layer, macs, activations; the file of a mixer defines"),
        ("BEHAVIOUR = (", r"mean\.py, line 1: SyntaxError: '\(' was never closed"),
        ("BEHAVIOUR = one", r"BEHAVIOUR in .*mean\.py must be a literal"),
        ("BEHAVIOUR = 'new'", r"BEHAVIOUR in .*mean\.py must be a whole number, got 'new'"),
    ],
)
def test_an_incomplete_file_is_refused(mean: Path, content: str, sentence: str) -> None:
    mean.write_text(content)
    with pytest.raises(SpecError, match=sentence):
        use(mean)
    assert "mean" not in SLOTS["mixer"]


def test_a_file_that_fails_is_reported(mean: Path) -> None:
    mean.write_text(MIXER + "\nraise KeyError('gone')\n")
    use(mean)
    with pytest.raises(SpecError, match=r"mean\.py, line 29: KeyError: 'gone'"):
        build(TINY.replace(mixer="mean"), 1, 10)


@pytest.mark.parametrize(
    ("path", "slot", "sentence"),
    [
        ("nowhere.py", "mixer", r"there is no mixer file nowhere\.py"),
        (".", "stem", r"there is no stem file \."),
        ("mean.txt", "channel", r"there is no channel file .*mean\.txt; it must be a \.py file"),
        (
            "mean.py",
            "mixr",
            r"unknown slot 'mixr': did you mean 'mixer'\? known are channel, dataset, mixer, plot, stem",
        ),
    ],
)
def test_a_wrong_path_or_slot_is_refused(mean: Path, path: str, slot: str, sentence: str) -> None:
    mean.with_suffix(".txt").write_text(MIXER)
    with pytest.raises(SpecError, match=sentence):
        use(mean.parent / path if path.startswith("mean") else path, slot)


def test_an_error_in_a_study_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("from ablate import use\nuse('gone.py')\n")
    with pytest.raises(SpecError, match=r"study\.py, line 2: there is no mixer file gone\.py(.|\n)*use\('gone\.py'\)"):
        load(tmp_path / "study.py")


def test_a_raised_number_changes_the_key(mean: Path, tmp_path: Path) -> None:
    use(mean)
    before = TINY.replace(mixer="mean").key
    del SLOTS["mixer"]._modules["mean"]
    newer = tmp_path / "newer" / "mean.py"
    newer.parent.mkdir()
    newer.write_text(MIXER.replace("BEHAVIOUR = 1", "BEHAVIOUR = 2"))
    use(newer)
    assert TINY.replace(mixer="mean").key != before


def forget(name: str) -> None:
    """Unregister a part, as in another process."""
    for registry in SLOTS.values():
        registry._modules.pop(name, None)


def test_a_request_contains_the_path(mean: Path, root: Root) -> None:
    use(mean)
    run = TINY.replace(mixer="mean")
    request(root, run, Resources())
    assert orjson.loads((root.run_folder(run.key) / "run.json").read_bytes())["files"] == {"mixer": str(mean)}
    forget("mean")
    assert requested(root, run.key) == (run, Resources())
    assert "mean" in SLOTS["mixer"]


def test_a_request_of_an_earlier_version_is_read(root: Root) -> None:
    request(root, TINY, Resources())
    path = root.run_folder(TINY.key) / "run.json"
    content = orjson.loads(path.read_bytes())
    del content["files"]
    path.write_bytes(orjson.dumps(content))
    assert requested(root, TINY.key)[0] == TINY


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: path.unlink(), "there is no mixer file"),
        (lambda path: path.write_text("BEHAVIOUR = 1"), "mean.py must define layer, macs, activations"),
        (lambda path: path.rename(path.with_name("moved.py")), "there is no mixer file"),
    ],
)
def test_a_file_damaged_after_the_request_fails_only_its_run(
    mean: Path, root: Root, change: object, sentence: str
) -> None:
    use(mean)
    runs = [TINY.replace(mixer="mean"), TINY]
    for run in runs:
        request(root, run, Resources())
    forget("mean")
    assert callable(change)
    change(mean)
    assert work(str(root.path), [run.key for run in runs], "w") == [run.key for run in runs]
    assert sentence in (failure_of(root.run_folder(runs[0].key)) or {})["error"]
    assert list(records.index(root.results)) == [TINY.key]


def test_a_request_whose_key_has_changed_fails_its_run(mean: Path, root: Root) -> None:
    use(mean)
    run = TINY.replace(mixer="mean")
    request(root, run, Resources())
    forget("mean")
    newer = mean.with_name("newer")
    newer.mkdir()
    (newer / "mean.py").write_text(MIXER.replace("BEHAVIOUR = 1", "BEHAVIOUR = 2"))
    path = root.run_folder(run.key) / "run.json"
    path.write_bytes(path.read_bytes().replace(str(mean).encode(), str(newer / "mean.py").encode()))
    assert work(str(root.path), [run.key], "w") == [run.key]
    assert f"run {run.key} has the key" in (failure_of(root.run_folder(run.key)) or {})["error"]


@pytest.mark.slow
def test_worker_processes_register_the_file(mean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end: run a study by the command line with worker processes."""
    study = """
        from ablate import Run, Scale, Study, use

        use("mixers/mean.py")
        tiny = {"image_size": 12, "patch_size": 4, "dim": 16, "depth": 1, "heads": 2, "batch_size": 256, "epochs": 1}
        study = Study(
            question="Is the mean enough?",
            axes={"mixer": ["mean", "none"]},
            fixed={"pool": "avg"},
            scales={"tiny": Scale(tiny)},
            seeds=1,
        )
    """
    (tmp_path / "question.py").write_text(textwrap.dedent(study))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr("ablate.report.render", lambda *_, **__: Path("no report"))
    words = ["run", str(tmp_path / "question.py"), "--on", "local", "--jobs", "1", "--root", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = {record.run["mixer"]: record for record in records.read_all(tmp_path / "results")}
    assert set(found) == {"mean", "none"}
    assert found["mean"].as_run().key == found["mean"].key
    assert found["mean"].provenance["files"]["mixer"]["path"] == str(mean)
    assert len(found["mean"].provenance["files"]["mixer"]["sha256"]) == 64
    assert "files" not in found["none"].provenance
    assert found["mean"].complexity["macs"] - found["none"].complexity["macs"] == 16**2
