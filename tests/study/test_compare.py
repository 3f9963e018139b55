"""Changes beyond the declared factor and gaps in the receptive field are found; the cache changes no result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ablate.model.build import build
from ablate.model.cost import complexity
from ablate.spec.errors import SpecError
from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.study import receptive_field
from ablate.study.architecture import fill
from ablate.study.compare import Comparison, architecture_of, classes_of, compare
from ablate.study.outline import outline
from ablate.study.receptive_field import unseen
from ablate.study.study import Scale, Study
from tests.tiny import TINY, image_folder, parquet_folder

pytestmark = pytest.mark.usefixtures("one_thread")
BASE = {"dataset": "imagenet", "image_size": 224, "patch_size": 16, "dim": 768, "depth": 12, "heads": 12, "pool": "cls"}
RELEASED = {
    "mixer": "patch_ff",
    "order": "channel_first",
    "token_norm": "token",
    "drop": 0.1,
    "decay_pos_embed": True,
}


def comparisons(root: Root, axes: dict[str, Any], **more: Any) -> dict[str, Comparison]:
    study = Study(question="?", axes=axes, scales={"base": Scale(BASE)}, **more)
    return {found.variant: found for found in compare(study, None, root)}


def test_the_papers_swap_tells_on_itself(root: Root) -> None:
    """The mixer is declared; order, norm axis, dropout and decay come out by themselves."""
    axes = {"mixer": {"attention": {}, "patch_ff": {"mixer": "patch_ff"}, "as released": RELEASED}}
    found = comparisons(root, axes)
    assert found["attention"].also_changes == []
    assert found["patch_ff"].also_changes == []
    assert found["as released"].declared == {"mixer"}
    assert found["as released"].also_changes == [
        "token_norm: channel → token",
        "order: token_first → channel_first",
        "drop: 0 → 0.1",
        "decay_pos_embed: False → True",
        "norm axis blocks.*.norm1: channels → tokens",
        "training pos_embed: not decayed → decayed",
        "dropout pos_drop, blocks.*.attn.drop1, blocks.*.attn.drop2, blocks.*.mlp.drop1, blocks.*.mlp.drop2: 0 → 0.1",
        "order blocks.*: mixer then channel → channel then mixer",
    ]
    assert found["as released"].numbers()["params"] == (86_567_656, 61_943_020)
    assert not any(one.receptive_field_gap for one in found.values())


@pytest.mark.parametrize(
    ("axes", "label", "also"),
    [
        ({"mixer": ["attention", "none"]}, "none", ["module blocks.*.norm1: LayerNorm → none"]),
        ({"channel": ["ff", "none"]}, "none", ["module blocks.*.norm2: LayerNorm → none"]),
        (
            {"pool": ["cls", "avg"]},
            "avg",
            ["shape pos_embed: 1×197×768 → 1×196×768", "tokens: 197 → 196"],
        ),
        ({"patch_size": [16, 32]}, "patch_size=32", ["shape pos_embed: 1×197×768 → 1×50×768"]),
        ({"pos_embed": ["learned", "sincos"]}, "sincos", []),
        ({"stem": ["patchify", "frozen"]}, "frozen", []),
        ({"dim": [768, 384]}, "dim=384", []),
        ({"drop": [0.0, 0.1]}, "drop=0.1", []),
        ({"drop_path": [0.0, 0.1]}, "drop_path=0.1", []),
        ({"lr": [1e-3, 1e-2]}, "lr=0.01", []),
        # An axis that bears no field's name has no single factor to declare, and says so.
        (
            {"block": {"a": {}, "b": {"mixer": "none", "drop": 0.1}}},
            "b",
            ["one axis changes 2 fields together: mixer, drop", "module blocks.*.norm1: LayerNorm → none"],
        ),
        ({"size": {"small": {}, "deep": {"depth": 8}}}, "deep", []),
        ({"order": ["token_first", "channel_first"]}, "channel_first", []),
    ],
    ids=str,
)
def test_what_comes_along(root: Root, axes: dict[str, Any], label: str, also: list[str]) -> None:
    found = comparisons(root, axes)[label]
    assert found.also_changes == also
    assert found.fields, "each field that differs is listed"


def test_every_changed_field_is_listed_even_where_the_axis_bears_no_fields_name(root: Root) -> None:
    found = comparisons(root, {"recipe": {"a": {}, "b": {"lr": 0.01, "epochs": 5}}})["b"]
    assert found.fields == {"lr": (0.001, 0.01), "epochs": (30, 5)}
    assert found.declared == {"lr", "epochs"}


def test_crossed_axes_declare_together(root: Root) -> None:
    found = comparisons(root, {"mixer": ["attention", "patch_ff"], "drop": [0.0, 0.1]}, cross=True)[
        "patch_ff, drop=0.1"
    ]
    assert found.declared == {"mixer", "drop"}
    assert found.also_changes == []


def test_a_matched_width_does_not_hide_what_comes_along(root: Root) -> None:
    found = comparisons(root, {"mixer": ["attention", "none"]}, fixed={"pool": "avg"}, match="params")["none"]
    assert found.also_changes == ["module blocks.*.norm1: LayerNorm → none"]
    assert found.declared == {"mixer", "dim"}
    before, after = found.numbers()["params"]
    assert after == pytest.approx(before, rel=0.05)
    assert found.as_data()["match"]["knob"] == "dim"


def test_frozen_parameters_and_decay_groups_are_counted(root: Root) -> None:
    found = comparisons(root, {"mixer": ["attention", "random"]})["random"].numbers()
    assert found["frozen"] == (0, 12 * 197**2)
    assert all(
        sum(found[kind][at] for kind in ("decayed", "not decayed", "frozen")) == found["params"][at] for at in (0, 1)
    )


def test_as_data_is_json(root: Root) -> None:
    content = orjson.loads(orjson.dumps(comparisons(root, {"mixer": ["attention", "none"]})["none"].as_data()))
    assert content["receptive_field_gap"] == "the logits do not depend on the image"
    assert content["params"]["variant"] < content["params"]["control"]


# --- the outline against the real model


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_outline_is_the_model(mixer: str, channel: str) -> None:
    if mixer == channel == "none":
        pytest.skip("an empty block")
    run = TINY.replace(mixer=mixer, channel=channel, depth=3, drop=0.1)
    model, found = build(run, 3, 7), outline(run, 3, 7)
    assert sum(found.sizes.values()) == sum(p.numel() for p in model.parameters()) == found.costs["params"]
    assert found.sizes["frozen"] == sum(p.numel() for p in model.parameters() if not p.requires_grad)
    shapes = {name.replace("blocks.2", "blocks.*"): list(p.shape) for name, p in model.named_parameters()}
    assert found.shapes == {name: shape for name, shape in shapes.items() if ".0." not in name and ".1." not in name}


def test_drop_path_is_the_last_blocks() -> None:
    assert outline(TINY.replace(depth=5, drop_path=0.3), 1, 10).dropout == {
        "blocks.*.drop_path1": 0.3,
        "blocks.*.drop_path2": 0.3,
    }


# --- receptive field


@pytest.mark.parametrize("pool", ["cls", "avg"])
@pytest.mark.parametrize("mixer", MIXERS)
def test_a_class_token_that_nothing_reaches_does_not_depend_on_the_image(mixer: str, pool: str) -> None:
    found = unseen(TINY.replace(mixer=mixer, pool=pool, depth=3))
    assert found == ((9, 9) if pool == "cls" and mixer in ("none", "pool", "dwconv") else (0, 9))


def test_a_head_of_zeros_leaves_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe redraws every parameter; otherwise the same model would seem not to depend on the image."""

    def zeroed(*args: Any, **kwargs: Any) -> nn.Module:
        model = build(TINY, 1, 4)
        nn.init.zeros_(model.head.weight)
        return model

    monkeypatch.setattr(receptive_field, "assemble", zeroed)
    receptive_field._seen.cache_clear()
    assert unseen(TINY) == (0, 9)
    monkeypatch.setattr(receptive_field, "_redraw", lambda model: None)
    receptive_field._seen.cache_clear()
    assert unseen(TINY) == (9, 9)
    receptive_field._seen.cache_clear()


def test_a_model_that_reads_some_patches_does_not_depend_on_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x[:, 0, :4, :4].mean(dim=1))

    monkeypatch.setattr(receptive_field, "assemble", lambda *args, **kwargs: Left())
    receptive_field._seen.cache_clear()
    assert unseen(TINY) == (8, 9)
    receptive_field._seen.cache_clear()


def test_a_mixer_that_reaches_further_with_depth_is_judged_at_its_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []

    def seen(run: Run) -> torch.Tensor:
        depths.append(run.depth)
        return torch.arange(9) < 2 * run.depth

    monkeypatch.setattr(receptive_field, "_seen", seen)
    assert unseen(TINY.replace(depth=4)) == (1, 9)
    assert depths == [2, 4]


@pytest.mark.parametrize("changes", [{"image_size": 384, "patch_size": 4}, {"stem": "conv", "patch_size": 2}], ids=str)
def test_the_probe_takes_many_patches_and_every_stem(changes: dict[str, Any]) -> None:
    assert unseen(TINY.replace(**changes))[0] == 0


# --- kept on disk


def test_kept_architectures_are_read_and_damaged_ones_worked_out_again(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = architecture_of(TINY, 1, 10, root.runs / "cache")
    (path,) = (root.runs / "cache").glob("*.json")
    monkeypatch.setattr("ablate.study.outline.outline", lambda *_: pytest.fail("it is kept"))
    assert architecture_of(TINY.replace(seed=3, lr=0.1, epochs=7), 1, 10, root.runs / "cache") == first
    monkeypatch.undo()
    whole = path.read_bytes()
    flipped = whole.replace(b'"patches":9', b'"patches":8')
    for damage in (b"", b"[]", b'{"modules": {}}', whole[:-20], flipped):
        assert damage != whole
        path.write_bytes(damage)
        assert architecture_of(TINY, 1, 10, root.runs / "cache") == first
        assert orjson.loads(path.read_bytes())["content"]["costs"] == complexity(TINY, 1, 10)


def test_other_models_are_kept_apart(root: Root) -> None:
    for run in (TINY, TINY.replace(decay_pos_embed=True), TINY.replace(dim=32), TINY.replace(mixer="pool")):
        architecture_of(run, 1, 10, root.runs / "cache")
    architecture_of(TINY, 3, 10, root.runs / "cache")
    assert len(list((root.runs / "cache").glob("*.json"))) == 5


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands here")
    assert architecture_of(TINY, 1, 10, tmp_path / "cache").costs["tokens"] == 9


@pytest.mark.slow
def test_another_process_works_out_what_is_lacking(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """This one is spared torch and its memory."""
    monkeypatch.delitem(sys.modules, "torch")
    folder = root.runs / "cache"
    fill(folder, [(TINY, 1, 10), (TINY.replace(mixer="pool"), 1, 10)])
    monkeypatch.undo()
    assert len(list(folder.glob("*.json"))) == 2
    monkeypatch.setattr("ablate.study.outline.outline", lambda *_: pytest.fail("it is kept"))
    assert architecture_of(TINY, 1, 10, folder).costs == complexity(TINY, 1, 10)


def test_classes_are_the_folders_where_it_is_at_hand(tmp_path: Path) -> None:
    where = image_folder(tmp_path / "pets", {"cat": 1, "dog": 1}, {"cat": 1, "dog": 1})
    assert classes_of("pets", {"pets": str(where)}) == (3, 2)
    assert classes_of("pets", {}) == (3, 1000)
    assert classes_of("digits", {}) == (1, 10)
    rows = parquet_folder(tmp_path / "rows", {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1})
    assert classes_of("pets", {"pets": str(rows)}) == (3, 3)
    (tmp_path / "empty").mkdir()
    assert classes_of("pets", {"pets": str(tmp_path / "empty")}) == (3, 1000), "an audit does not wait for data"


def test_architecture_keys_ignore_what_does_not_shape_the_model() -> None:
    assert TINY.architecture == TINY.replace(seed=1, lr=0.5, epochs=9, smoothing=0.1).architecture
    changed = [
        TINY.replace(dim=32),
        TINY.replace(drop=0.1),
        TINY.replace(order="channel_first"),
        TINY.replace(image_size=24),
    ]
    assert len({run.architecture for run in [TINY, *changed]}) == 5


class Counted(TorchDispatchMode):
    """Counts operations, and the values they give; a tensor on the meta device has none."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.values = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.operations += 1
        if isinstance(found, torch.Tensor) and found.device.type != "meta":
            self.values += found.numel()
        return found


def test_large_costs_what_tiny_does() -> None:
    """As many operations, and as many values, however wide and deep the model is."""
    receptive_field._seen.cache_clear()
    costs = []
    for fields in ({"dim": 192, "heads": 3, "depth": 12}, {"dim": 1024, "heads": 16, "depth": 24}):
        with Counted() as counted:
            outline(Run(**BASE).replace(**fields), 3, 1000)
        costs.append((counted.operations, counted.values))
        receptive_field._seen.cache_clear()
    assert costs[0] == costs[1]
    assert 0 < costs[0][1] < 1e8, "a Large has 3e8 parameters"


@pytest.mark.slow
def test_many_crossed_variants_are_audited(root: Root) -> None:
    axes = {"mixer": list(MIXERS), "stem": list(STEMS), "pos_embed": ["learned", "none"]}
    study = Study(question="?", axes=axes, scales={"base": Scale(BASE)}, cross=True)
    assert len(compare(study, None, root)) == 54


def test_a_probe_that_fits_no_width_says_so() -> None:
    with pytest.raises(SpecError, match="order"):
        receptive_field._widen({"order": "sideways"}, 8)


def test_dropout_that_a_mixer_lacks_is_no_part_of_the_mixer(root: Root) -> None:
    found = comparisons(root, {"mixer": ["attention", "pool"]}, fixed={"drop": 0.1})["pool"]
    assert found.also_changes == ["dropout blocks.*.attn.proj_drop: 0.1 → 0"]


def test_fields_that_change_nothing_in_the_model_are_told(root: Root) -> None:
    found = comparisons(root, {"order": ["token_first", "channel_first"]}, fixed={"mixer": "none", "pool": "avg"})[
        "channel_first"
    ]
    assert found.also_changes == ["nothing: the fields differ, but the models are equal"]


def test_a_file_that_counts_wrongly_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """The formulas are checked against the model that is built."""
    monkeypatch.setattr(
        "ablate.study.outline.complexity", lambda *_: {"params": 5, "frozen": 0, "macs": 1, "tokens": 1}
    )
    with pytest.raises(SpecError, match=r"count 5 parameters \(0 frozen\), the model has"):
        comparisons(root, {"mixer": ["attention", "linear"]})


def test_an_axis_of_labels_is_one_factor_where_it_moves_one_field(root: Root) -> None:
    labels = {"plain": {}, "no decay": {"weight_decay": 0.0}, "both": {"weight_decay": 0.0, "drop": 0.1}}
    found = comparisons(root, {"piece": labels})
    assert found["no decay"].also_changes == []
    assert found["both"].also_changes[0] == "one axis changes 2 fields together: drop, weight_decay"


def test_another_start_of_the_class_token_is_not_called_nothing(root: Root) -> None:
    assert not any(found.inert for found in comparisons(root, {"cls_init": [1e-6, 0.02]}).values())
