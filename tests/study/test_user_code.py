"""Faults in the user's own files: one sentence with the file and line; what is right is accepted."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import pytest
import torch

from ablate.model.build import build
from ablate.model.errors import PASSED
from ablate.model.own import check_own
from ablate.spec.errors import SpecError
from ablate.spec.plugins import SLOTS, use
from ablate.spec.run import Run
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("own_files")

MIXER = '''"""A mean of the tokens."""
import torch
from torch import nn

BEHAVIOUR = 1


class Mean(nn.Module):
    def __init__(self, dim, device=None, dtype=None, **_):
        super().__init__()
        self.proj = nn.Linear(dim, dim, device=device, dtype=dtype)

    def forward(self, x, attn_mask=None, is_causal=False):
        mixed = self.proj(x)
        return mixed


def layer(run, tokens):
    return Mean


def macs(run, tokens):
    return tokens * run.dim**2


def activations(run, tokens):
    return tokens * run.dim
'''
INIT = "def __init__(self, dim, device=None, dtype=None, **_):"
FORWARD = "def forward(self, x, attn_mask=None, is_causal=False):"
RETURN = "return mixed"
COUNT = "tokens * run.dim**2"
TORCH = "import torch\n"
SUPER = "super().__init__()"
BODY = f"    {FORWARD}\n        mixed = self.proj(x)\n"
KEPT = f"        {{}}\n\n    {FORWARD}\n        mixed = self.proj(x) + self.k\n"


def own(folder: Path, old: str, new: str, content: str = MIXER, slot: str = "mixer") -> Run:
    """Write a file with one change, register it, and return a run with it."""
    assert old in content
    path = folder / "mine.py"
    path.write_text(content.replace(old, new, 1))
    return TINY.replace(**{slot: use(path, slot)})


def fault(run: Run) -> str:
    with pytest.raises(SpecError) as error:
        check_own(run, 1, 10)
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (FORWARD, "def forward(self, x):", ["line 13: TypeError", "'attn_mask'", "timm passes x, and attn_mask"]),
        (INIT, "def __init__(self, dim):", ["line 9: TypeError", "timm passes dim, and num_heads", "with **_"]),
        (INIT, "def __init__(self, width, device=None, dtype=None, **_):", ["line 11: NameError"]),
        (INIT, "def __init__(self, dim, device, dtype, more, **_):", ["line 9: TypeError", "'more'", "timm passes"]),
        ("def layer(run, tokens):", "def layer(run):", ["line 18: TypeError", "; ablate passes run and tokens"]),
        ("return Mean", "return Mean(run.dim)", ["layer in", "must return a class of torch.nn.Module", "got Mean("]),
        ("return Mean", "return 'Mean'", ["layer in", "must return a class of torch.nn.Module", "got 'Mean'"]),
        ("return Mean", "return Main", ["line 19: NameError: name 'Main' is not defined", "\n    return Main"]),
        ("return Mean", "return dict", ["layer in", "must return a class of torch.nn.Module"]),
        (SUPER, "pass", ["line 11: AttributeError: cannot assign module before Module.__init__() call"]),
        (SUPER, "super().__init__(); raise SystemExit(3)", ["line 10: SystemExit: 3"]),
        (SUPER, "super().__init__(); torch.set_default_dtype(torch.float64)", ["changes torch's default dtype"]),
        (SUPER, "super().__init__(); torch.use_deterministic_algorithms(True)", ["torch's deterministic algorithms"]),
        (SUPER, "super().__init__(); self.w = nn.Parameter(torch.ones(dim))", ["add a method init_weights()"]),
        (RETURN, "return mixed, x", ["must return a tensor, got tuple"]),
        (RETURN, "pass", ["must return a tensor, got NoneType"]),
        (RETURN, "return mixed[:, :-1]", ["must return the shape (2, 9, 16)", "got (2, 8, 16)"]),
        (RETURN, "return mixed.mean(1, keepdim=True)", ["must return the shape (2, 9, 16)", "got (2, 1, 16)"]),
        (RETURN, "return mixed.double()", ["must return torch.float32", "got torch.float64"]),
        (RETURN, "return mixed / 0", ["must return finite numbers", "got NaN or infinity for random images"]),
        (RETURN, "return mixed + (x - x).abs().sqrt()", ["the gradient of", "must be finite"]),
        (RETURN, "x.add_(1); return mixed", ["must not change its input in place"]),
        (RETURN, "return self.forward(x)", ["line 14: RecursionError"]),
        (RETURN, "raise SystemExit", ["line 15: SystemExit"]),
        (RETURN, "return mixed @ torch.ones(3, 3)", ["line 15: RuntimeError: mm: mat1 and mat2 shapes cannot"]),
        (RETURN, "torch.manual_seed(0); return mixed", ["sets the seed of torch", "use a torch.Generator"]),
        (RETURN, "return mixed + torch.rand_like(x)", ["the same for the same input in evaluation mode"]),
        (RETURN, "return mixed - x.mean(dim=(0, 1))", ["treat each image by itself in evaluation mode"]),
        (RETURN, "return mixed.sort(dim=0)[0]", ["treat each image by itself in evaluation mode"]),
        (BODY, KEPT.format("self.k = torch.randn(dim)"), ["draws a tensor in __init__ that is not among the weights"]),
        (BODY, KEPT.format("self.register_buffer('k', torch.randn(dim))"), ["must determine blocks.0.attn.k, which"]),
        (RETURN, "import random; return mixed * (random.random() if self.training else 1)", ["in training mode"]),
        (RETURN, "torch.manual_seed(1); return mixed", ["sets the seed of torch", "use a torch.Generator"]),
        (RETURN, "torch.manual_seed(torch.initial_seed()); return mixed", ["leave torch's generator as it was"]),
        (RETURN, "torch.rand(1); return mixed", ["leave torch's generator as it was in evaluation mode"]),
        (RETURN, "return mixed * __import__('numpy').random.rand()", ["the same for the same input in evaluation"]),
        (RETURN, "return mixed + 0.02 * mixed.mean(0)", ["treat each image by itself in evaluation mode"]),
        (RETURN, "return mixed.flip(0)", ["treat each image by itself in evaluation mode"]),
        (BODY, KEPT.format("self.register_buffer('k', torch.randn(dim), False)"), ["not among the weights"]),
        (RETURN, "torch.set_grad_enabled(False); return mixed", ["does not require grad"]),
        ("mixed = self.proj(x)", "self.late = nn.Linear(16, 16); mixed = self.late(x)", ["creates", "late"]),
        ("nn.Linear(dim, dim,", "nn.LazyLinear(dim,", ["mine.py", "uninitialized parameter"]),
        (COUNT, "7", ["macs in", "returns 7 for one image of 9 patches", "torch counts 2,304"]),
        (COUNT, "dims * 7", ["line 23: NameError: name 'dims' is not defined", "\n    return dims * 7"]),
        ("return tokens * run.dim\n", "return size\n", ["line 27: NameError: name 'size' is not defined"]),
        ("return tokens * run.dim\n", "return 1.5\n", ["activations in", "must return a whole number"]),
        ("BEHAVIOUR = 1", "BEHAVIOUR = 1\ndef params(*_): return 7", ["the formulas give", "fix params"]),
        ("BEHAVIOUR = 1", "BEHAVIOUR = FROZEN = 1\ndef params(*_): return 272", ["(272 frozen); fix params"]),
        (COUNT, "None", ["macs in", "must return a whole number, 0 or more, got None"]),
        (COUNT, "tokens / 7", ["must return a whole number, 0 or more, got 1.28"]),
        (COUNT, "-7", ["must return a whole number, 0 or more, got -7"]),
        (COUNT, "2**64", ["must return a whole number, 0 or more, got 18446744073709551616"]),
        ("def macs(run, tokens):", "def macs(run):", ["line 22: TypeError: macs() takes 1 positional argument"]),
        (TORCH, TORCH + "import nowhere\n", ["line 3: ModuleNotFoundError: No module named 'nowhere'"]),
        (TORCH, TORCH + "import neighbour\n", ["a file of your own cannot import its neighbours"]),
        (TORCH, TORCH + "raise SystemExit(0)\n", ["line 3: SystemExit: 0\n    raise SystemExit(0)"]),
        (TORCH, TORCH + "input()\n", ["line 3: EOFError"]),
        (TORCH, TORCH + "torch.set_default_dtype(torch.half)\n", ["default dtype from torch.float32 to t"]),
        (TORCH, TORCH + "f = lambda: f()\nf()\n", ["RecursionError"]),
    ],
)  # fmt: skip
def test_a_fault_of_a_mixer_is_a_sentence(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    (tmp_path / "neighbour.py").touch()
    before = torch.get_default_dtype(), torch.get_rng_state()
    found = fault(own(tmp_path, old, new))
    for word in [*words, str(tmp_path / "mine.py")]:
        assert word in found
    assert len(found.splitlines()) <= 2, "the sentence, and the line of the file"
    assert torch.get_default_dtype() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("slot", "name"), [(slot, name) for slot, registry in SLOTS.items() for name in registry])
@pytest.mark.parametrize("changes", [{}, {"pool": "cls", "dim": 32, "drop": 0.1}, {"image_size": 96}], ids=str)
def test_a_copy_of_each_part_is_accepted(tmp_path: Path, slot: str, name: str, changes: dict[str, object]) -> None:
    """It counts what torch counts, also where an operation is unknown to its counter."""
    content = SLOTS[slot].path(name).read_text(encoding="utf-8")
    check_own(own(tmp_path, "", "", content, slot).replace(**changes), 3, 7)


MIXERS = {
    "the module has no docstring": ('"""A mean of the tokens."""', ""),
    "batch norm": ("self.proj =", "self.norm = nn.BatchNorm1d(9); self.proj ="),
    "a drawn buffer": (
        BODY,
        KEPT.format(
            "self.register_buffer('k', torch.empty(dim))\n\n    def init_weights(self):\n        self.k.normal_()"
        ),
    ),
    "a fixed tensor": (BODY, KEPT.format("self.k = torch.ones(dim)")),
    "dropout": (RETURN, "return nn.functional.dropout(mixed, 0.5, self.training)"),
    "expanded": (RETURN, "return mixed.mean(1, keepdim=True).expand_as(x)"),
    "a NumPy number": (COUNT, "__import__('numpy').int64(tokens * run.dim**2)"),
    "a whole float": (COUNT, "tokens * run.dim**2 / 1"),
    "prints": (TORCH, "import torch\nprint('hello')\n"),
}


@pytest.mark.parametrize("name", MIXERS)
def test_a_mixer_that_works_is_accepted(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check_own(own(tmp_path, *MIXERS[name]), 1, 10)
    assert capsys.readouterr().out == "", "standard output may be JSON"


@pytest.mark.parametrize(
    "content",
    [codecs.BOM_UTF8 + MIXER.encode(), b"# coding: latin-1\n" + MIXER.replace("mean", "Größe").encode("latin-1")],
    ids=["byte order mark", "encoding line"],
)
def test_a_mixer_in_another_encoding_is_accepted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(content)
    check_own(TINY.replace(mixer=use(path)), 1, 10)


def test_a_stem_may_not_be_missing(tmp_path: Path) -> None:
    content = MIXER.replace("return Mean", "return None").replace("run, tokens", "run, *_")
    assert "must return a class of torch.nn.Module" in fault(own(tmp_path, "", "", content, "stem"))


def test_a_missing_mixer_has_no_macs(tmp_path: Path) -> None:
    assert "torch counts 0" in fault(own(tmp_path, "return Mean", "return None"))


def test_a_wrong_channel_mixer_and_stem_name_what_timm_passes(tmp_path: Path) -> None:
    for slot in ("channel", "stem"):
        found = fault(own(tmp_path, "", "", MIXER.replace("def layer(run, tokens)", "def layer(run, *_)"), slot))
        assert "mine.py, line 9: TypeError: Mean.__init__() missing 1 required positional argument: 'dim'" in found
        assert PASSED[slot]["__init__"] in found
        SLOTS[slot]._modules.pop("mine")


def test_the_messages_say_what_timm_passes(tmp_path: Path) -> None:
    recording = """
from torch import nn

BEHAVIOUR = 1
SEEN = {}


class Recording(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()
        SEEN["__init__"] = len(args), set(kwargs)
        self.num_patches = 9

    def forward(self, *args, **kwargs):
        SEEN["forward"] = len(args), set(kwargs)
        return args[0].new_zeros(len(args[0]), 9, 16)


def layer(*args):
    SEEN["layer"] = len(args), set()
    return Recording


def macs(*_):
    return 0


def activations(*_):
    return 0
"""
    for slot, passed in PASSED.items():
        run = own(tmp_path, "", "", recording, slot)
        build(run, 1, 10)(torch.zeros(1, 1, 12, 12))
        seen = SLOTS[slot]["mine"].SEEN
        for function, words in passed.items():
            number, names = seen[function]
            listed = set(re.findall(r"\w+", words.partition(";")[0])) - {
                "timm",
                "ablate",
                "passes",
                "and",
                "by",
                "name",
            }
            assert (len(listed - names), names - listed) == (number, set()), function
        SLOTS[slot]._modules.pop("mine")
