"""Study files that are wrong are refused when they are read, in a sentence; what is right is accepted."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from ablate.spec.errors import SpecError
from ablate.study.load import load
from ablate.study.study import Study

GOOD = """
from ablate import DIGITS, Claim, Study, top1, exponent
study = Study(
    question="Which?",
    axes={"mixer": ["attention", "none"]},
    fixed={"pool": "avg"},
    scales={"digits": DIGITS},
    claims=[Claim("Mixing helps", top1() - top1(mixer="none") > 0)],
)
"""
AXES = '{"mixer": ["attention", "none"]}'
CLAIM = 'top1() - top1(mixer="none") > 0'
FIXED = 'fixed={"pool": "avg"},'


def write(folder: Path, content: str | bytes, name: str = "asked.py") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fault(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(SpecError) as error:
        load(write(folder, GOOD.replace(old, new, 1)))
    return str(error.value)


def labelled(*labels: str) -> str:
    """Return an axis with these labels after the control's, in ASCII."""
    steps = [("first", 48), *((label, 96 + 48 * at) for at, label in enumerate(labels))]
    return "{'size': {" + ", ".join(f"{label!a}: {{'dim': {dim}}}" for label, dim in steps) + "}}"


@pytest.mark.parametrize(
    "label",
    [
        *("", " ", "\t", ".", "..", "/", "-", " a", "a ", "é" * 150, "a" * 999),
        *("a\nb", "a\x1b[31m", "a\x00", "a\u202eb", "a\u2028b", "a\ud800"),
    ],
    ids=ascii,
)
def test_a_label_that_is_no_name_is_refused(tmp_path: Path, label: str) -> None:
    found = fault(tmp_path, AXES, labelled(label))
    assert "a label of axis size must" in found
    assert found.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Wide", "wide"), ("café", "cafe\u0301"), ("a b", "a_b"), ("a/b", "a:b"), ("x²", "x2"), ("ß", "ss")],
)
def test_labels_that_are_equal_as_file_names_are_refused(tmp_path: Path, one: str, other: str) -> None:
    found = fault(tmp_path, AXES, labelled(one, other))
    assert "the labels of variants must differ by more than case and punctuation" in found


def test_labels_of_other_alphabets_and_signs_are_accepted(tmp_path: Path) -> None:
    labels = ["größer", "宽", "lr=1e-3", "lr=1e+3", "50 %", "a, b", "(c)", "β=0.5"]
    study = load(write(tmp_path, GOOD.replace(AXES, labelled(*labels)).replace(CLAIM, "top1() > 0")))
    assert [variant.label for variant in study.variants()] == ["first", *labels]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (AXES, '{"mixer": {"attention", "none"}}', "axis mixer must be a list of values, the control's first, got {'"),
        (AXES, '{"mixer": frozenset(["attention"])}', "axis mixer must be a list of values"),
        (AXES, '{"mixer": (m for m in ["attention"])}', "axis mixer must be a list of values"),
        (AXES, '{"mixer": {"attention": 1}.keys()}', "axis mixer must be a list of values"),
        (AXES, '{"mixer": {"attention": {"pool"}}}', "axis mixer must map labels to the fields they set"),
        (AXES, '{"epochs": range(10**12)}', "axis epochs must have at most 10,000 values, got 1,000,000,000,000"),
        (AXES, '{"mixer": None}', "axis mixer must be a list of values"),
        (AXES, '{"depth": 3}', "axis depth must be a list of values, the control's first, got 3"),
        (AXES, '{3: ["attention"]}', "the name of an axis must be text on one line"),
        (AXES, '[("mixer", ["none"])]', "axes must be a dict of axes with their values, got [("),
        (AXES, '{"match": {"none"}}', "axis match must be a list"),
        (FIXED, "fixed=[],", "fixed must be a dict of fields of Run with their values, got []"),
        (FIXED, "fixed=None,", "fixed must be a dict of fields of Run with their values, got None"),
        (FIXED, FIXED + 'benchmark_only="no",', "benchmark_only must be True or False, got 'no'"),
        (FIXED, FIXED + "cross=0,", "cross must be True or False, got 0"),
        (FIXED, FIXED + "seeds=10**6,", "seeds must be at most 10,000, got 1000000"),
        (FIXED, FIXED + "seeds=10**5000,", "seeds must be at most 10,000, got a value of type int"),
        (FIXED, FIXED + "match=3,", "unknown match 3"),
        (FIXED, FIXED + "speed_only=True,", "TypeError"),
        ('"Which?"', "3", "question must be text, got 3"),
        ('"Which?"', '" "', "question must be text, got ' '"),
        ('{"digits": DIGITS}', "[DIGITS]", "scales must be a dict of names with a Scale each"),
        ('{"digits": DIGITS}', '{"digits": {"dim": 3}}', "scale digits must be a Scale, such as DIGITS"),
        ('{"digits": DIGITS}', '{"a/b": DIGITS, "a b": DIGITS}', "the scales of a study must differ by more than case"),
        ('{"digits": DIGITS}', '{"digits": DIGITS.replace(seeds=10**9)}', "seeds must be at most 10,000"),
        ('{"digits": DIGITS}', '{" ": DIGITS}', "the name of a scale must be text on one line"),
        ('{"digits": DIGITS}', '{"digits": DIGITS.replace(axes=[])}', "axes of a scale must be a dict"),
        (CLAIM, "top1() > float('nan')", "every number in claim 'Mixing helps' must be a finite number, got nan"),
        (CLAIM, "top1() < float('inf')", "every number in claim 'Mixing helps' must be a finite number, got -inf"),
        (CLAIM, "top1() * float('nan') > 0", "must be a finite number, got nan"),
        (CLAIM, "top1() > 10**400", "line 8: OverflowError"),
        (CLAIM, "top1() > '5'", "line 8: TypeError"),
        (CLAIM, "exponent(over='token') > 0", "unknown size of an exponent 'token': did you mean 'tokens'?"),
        (f'Claim("Mixing helps", {CLAIM})', CLAIM, "claims must be a list of Claim(...), got "),
        (f'[Claim("Mixing helps", {CLAIM})]', f'{{Claim("x", {CLAIM})}}', "claims must be a list of Claim(...), got {"),
        ('"Mixing helps"', '""', "the sentence of a claim must be text, got ''"),
        ('{"pool": "avg"}', '{"pool": "avg", "depth": 2**64}', "depth must be a finite number below 2**63"),
        ('{"pool": "avg"}', '{"pool": "avg", "depth": 10**5000}', "depth must be a finite number below 2**63"),
        ('{"pool": "avg"}', '{"pool": "avg", "depth": 10**9}', "depth must be at most 10,000, got 1000000000"),
        ('{"pool": "avg"}', '{"pool": "avg", "dim": 3*2**40}', "dim must be at most 65,536, got 3298534883328"),
        ('{"pool": "avg"}', '{"pool": "avg", "patch_size": 0}', "patch_size must be positive, got 0"),
        ('{"pool": "avg"}', '{"pool": "avg", "epochs": -1}', "epochs must be positive, got -1"),
        ('{"pool": "avg"}', '{"pool": "avg", "lr": float("nan")}', "lr must be a finite number below 2**63, got nan"),
        ('{"pool": "avg"}', '{"pool": "avg", "batch_size": 2**40}', "batch_size must be at most 1,048,576"),
        ('{"pool": "avg"}', '{"pool": "avg", "mlp_ratio": 1e9}', "mlp_ratio must be at most 1,000"),
        ('{"pool": "avg"}', '{"pool": "avg", "image_size": 16383, "patch_size": 1}', "tokens, and must give at most"),
        ('{"pool": "avg"}', '{"pool": "avg", "dim": 49152, "depth": 10000}', "a model of this size"),
        (AXES, '{"mixer": ["a" * 9999]}', "unknown mixer 'aaa"),
        ('{"pool": "avg"}', '{"pool": "avg", "dataset": "a" * 9999}', "dataset must be at most 100 letters"),
        (AXES, '{"mixer": [[1] * 9999]}', "mixer must be text, in quotes, got [1, 1"),
    ],
)  # fmt: skip
def test_a_wrong_study_is_a_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    found = fault(tmp_path, old, new)
    assert words in found
    assert "asked.py" in found
    assert max(map(len, found.splitlines())) < 600


def test_too_many_variants_are_refused_before_they_are_made(tmp_path: Path) -> None:
    many = "{'lr': [*range(1, 61)], 'weight_decay': [*range(60)], 'epochs': [*range(9, 68)]}, cross=True"
    assert "must have at most 10,000 variants, got 212,400 at scale digits" in fault(tmp_path, AXES, many)


def test_too_many_runs_are_refused(tmp_path: Path) -> None:
    axes = "{'lr': [1e-9 * n for n in range(1, 102)]}"
    study = load(write(tmp_path, GOOD.replace(AXES, axes).replace(CLAIM, "top1() > 0")))
    assert study.seed_count(seeds=900) == 900
    with pytest.raises(SpecError, match="a study must have at most 100,000 runs, got 101,000"):
        study.runs(seeds=1000)
    with pytest.raises(SpecError, match="seeds must be at most 10,000, got 99999999999999999999999"):
        study.runs(seeds=99999999999999999999999)


def question_of(path: Path) -> str:
    return load(path).question


def test_a_file_may_have_a_byte_order_mark_or_an_encoding_line(tmp_path: Path) -> None:
    text = GOOD.replace("Which?", "Größe?")
    assert question_of(write(tmp_path, codecs.BOM_UTF8 + text.encode())) == "Größe?"
    latin = ("# -*- coding: latin-1 -*-" + text).encode("latin-1")
    assert question_of(write(tmp_path, latin)) == "Größe?"
    assert question_of(write(tmp_path, text.replace("\n", "\r\n"))) == "Größe?"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD.replace("Which?", "Größe?").encode("latin-1"), "asked.py, line 4: SyntaxError: "),
        (b"# coding: nonsense\n", "asked.py: SyntaxError: unknown encoding: nonsense"),
        (b"x = 1\0\n", "asked.py: "),
        (b"x = " + b"(" * 300 + b")" * 300, "asked.py, line 1: SyntaxError: too many nested parentheses"),
        (b"x = " + b"-" * 200_000 + b"1", "asked.py: "),
        (b"", "must assign a study"),
        (b"def f(): f()\nf()\n", "asked.py, line 1: RecursionError"),
        (b"import os, sys\nsys.exit('done')\n", "asked.py, line 2: SystemExit: done"),
        (b"raise KeyboardInterrupt2\n", "asked.py, line 1: NameError"),
        (b"name = input()\n", "asked.py, line 1: EOFError"),
        (b"import torch\ntorch.set_default_dtype(torch.float64)\n", "changes torch's default dtype from torch.float32"),
        (b"import neighbour\n", "asked.py, line 1: ModuleNotFoundError: No module named 'neighbour'; a file of your"),
        (b"raise ValueError('one\\ntwo \\x1b[31m')\n", "asked.py, line 1: ValueError: one two \\x1b[31m"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "neighbour.py").touch()
    with pytest.raises(SpecError) as error:
        load(write(tmp_path, content))
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


def test_a_study_prints_to_standard_error_and_cannot_change_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = os.getcwd()
    load(write(tmp_path, "import os\nos.chdir('/')\nprint('hello')\n" + GOOD))
    assert os.getcwd() == before
    assert capsys.readouterr() == ("", "hello\n")


def test_texts_are_one_printable_line(tmp_path: Path) -> None:
    text = GOOD.replace('"Which?"', '"Which\\n  one\\x1b[31m?"').replace("Mixing helps", "Mixing\\x07 helps\\u202e")
    study: Study = load(write(tmp_path, text))
    assert study.question == "Which one\\x1b[31m?"
    assert study.claims[0].sentence == "Mixing\\x07 helps\\u202e"


@pytest.mark.parametrize("name", ["a\nb.py", "a\x1b.py", " .py", "-.py"])
def test_a_file_whose_name_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="the name of a study must be text on one line"):
        load(write(tmp_path, GOOD, name))
