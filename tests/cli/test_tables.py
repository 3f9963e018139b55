"""The tables, claims and exports on synthetic records: output and exit codes."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.measure import record as speed_record
from ablate.measure.subjects import Subject
from ablate.results.paper import ENTRIES
from ablate.spec.run import Run
from ablate.store import records
from tests import synthetic
from tests.measure.fake import measurement


def invoke(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a root with all records of the quickstart; no test writes to it."""
    root = tmp_path_factory.mktemp("finished")
    for run in load("quickstart").runs():
        records.write(root / "results", synthetic.record(run, metrics={"correct": "/" * 60}))
    return str(root)


@pytest.mark.parametrize("kind", ["--stats", "--images"])
@pytest.mark.parametrize("style", ["text", "md", "tex", "csv", "json", "html"])
def test_statistics_in_every_format(finished: str, kind: str, style: str) -> None:
    shown = invoke("table", "quickstart", kind, "--format", style, "--root", finished).stdout.replace("\\_", "_")
    assert "patch_ff" in shown
    assert "none" in shown


def test_statistics_for_scripts(finished: str) -> None:
    rows = orjson.loads(invoke("table", "quickstart", "--stats", "--json", "--root", finished).stdout)
    assert [row["variant"] for row in rows] == ["patch_ff", "none"]
    assert all(row["n"] == 3 and 0 <= row["p"] <= row["p_holm"] <= 1 for row in rows)
    pairs = orjson.loads(invoke("table", "quickstart", "--images", "--json", "--root", finished).stdout)
    assert [(row["variant"], row["seed"]) for row in pairs] == [(v, s) for v in ("patch_ff", "none") for s in range(3)]


def test_one_table_at_a_time(finished: str) -> None:
    shown = invoke("table", "quickstart", "--stats", "--images", "--root", finished, code=2)
    assert "cannot be combined; choose one" in shown.output


def test_the_paper_s_table_needs_no_study(tmp_path: Path) -> None:
    shown = invoke("table", "paper", "--root", str(tmp_path)).stdout
    assert "79.9‡" in shown
    assert "not measured" in shown
    rows = orjson.loads(invoke("table", "paper", "--json", "--root", str(tmp_path)).stdout)
    assert [row["published"] for row in rows] == [None, 72.2, 61.4, 77.9, 79.9, 74.9, 71.2, None, 71.4, 28.2]


MODE = "fp32-eager-nchw-inference"


@pytest.fixture
def with_speed(finished: str, tmp_path: Path) -> str:
    """Return a copy with the speed of two variants and of one model of the paper, in one mode."""
    shutil.copytree(finished, tmp_path / "root")
    runs = [(variant.label, variant.run, 1, 10) for variant in load("quickstart").variants()[:2]]
    runs.append(("FF", Run(**next(entry.fields for entry in ENTRIES if entry.model == "FF only")), 3, 1000))
    for at, (label, run, channels, classes) in enumerate(runs, start=1):
        found = measurement(Subject(label, run, "", channels, classes), [100.0 * at, 101.0 * at, 102.0 * at], peak=None)
        found.subject |= {"channels": channels, "classes": classes}
        speed_record.write(tmp_path / "root" / "results" / "speed" / "a-cpu", found)
    return str(tmp_path / "root")


def test_a_table_with_speeds_names_their_conditions(with_speed: str) -> None:
    shown = " ".join(invoke("table", "quickstart", "--mode", MODE, "--root", with_speed).stdout.split())
    assert "Throughput and memory: A CPU" in shown
    assert "float32, eager, batch 64; median of the windows" in shown
    rows = orjson.loads(invoke("table", "quickstart", "--mode", MODE, "--json", "--root", with_speed).stdout)
    assert [row["throughput"] for row in rows] == [101.0, 202.0, None]
    assert (
        invoke("table", "quickstart", "--mode", MODE, "--format", "md", "--root", with_speed).stdout.count(
            "not measured"
        )
        == 2
    )


def test_the_paper_s_table_shows_the_speed_that_was_measured(with_speed: str) -> None:
    rows = orjson.loads(invoke("table", "paper", "--json", "--root", with_speed).stdout)
    assert [row["images_per_s"] for row in rows[:3]] == [None, None, 303.0]
    other = invoke("table", "paper", "--json", "--mode", "bf16-eager-nchw-inference", "--root", with_speed).stdout
    assert {row["images_per_s"] for row in orjson.loads(other)} == {None}


COMMANDS = (("table", "quickstart"), ("table", "paper"), ("export", "none.csv", "--study", "quickstart"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_misspelt_mode_or_device_is_a_sentence(with_speed: str, command: tuple[str, ...]) -> None:
    shown = invoke(*command, "--mode", "fp32-eagre-nchw-inference", "--root", with_speed, code=2).output
    assert MODE in "".join(shown.split())
    shown = invoke(*command, "--mode", MODE, "--device", "A GPU", "--root", with_speed, code=2).output
    assert "known are A CPU, 1 thread, torch 2.0" in " ".join(shown.split())


def test_a_device_needs_a_mode_except_in_the_paper_s_table(with_speed: str) -> None:
    device = ("--device", "A CPU, 1 thread, torch 2.0", "--root", with_speed)
    for command in (COMMANDS[0], COMMANDS[2]):
        assert "a mode that was measured on it" in " ".join(invoke(*command, *device, code=2).output.split())
    rows = orjson.loads(invoke("table", "paper", "--json", *device).stdout)
    assert rows[2]["images_per_s"] == 303.0


def test_speeds_are_exported(with_speed: str, tmp_path: Path) -> None:
    words = ("--study", "quickstart", "--mode", MODE, "--root", with_speed)
    invoke("export", str(tmp_path / "runs.parquet"), *words)
    found = pd.read_parquet(tmp_path / "runs.parquet")
    assert found["throughput"].tolist()[:6] == [101.0] * 3 + [202.0] * 3
    assert (
        "must be given with a study" in invoke("export", "a.csv", "--mode", MODE, "--root", with_speed, code=2).output
    )


def test_statistics_have_no_mode(finished: str) -> None:
    shown = invoke("table", "quickstart", "--stats", "--mode", MODE, "--root", finished, code=2).output
    assert "--stats cannot be combined with --mode or --device" in shown


SO, NOT_SO = "top1() > 50", "top1() < 50"
OPEN = 'top1(mixer="patch_ff") > top1() - 2.5'


def study(folder: Path, *claims: str) -> str:
    """Write a study with some claims, and its records."""
    path = folder / "claiming.py"
    listed = ", ".join(f"Claim({claim!r}, {claim})" for claim in claims)
    path.write_text(
        '"""A test."""\nfrom ablate import DIGITS, Claim, Study, exponent, throughput, top1\n'
        f'study = Study(question="So?", axes={{"mixer": ["attention", "patch_ff"]}}, fixed={{"pool": "avg"}},'
        f' scales={{"digits": DIGITS}}, claims=[{listed}])\n'
    )
    for run in load(path).runs():
        records.write(folder / "results", synthetic.record(run))
    return str(path)


@pytest.mark.parametrize(
    ("claims", "code"),
    [((), 0), ((SO,), 0), ((SO, NOT_SO), 1), ((SO, OPEN), 3), ((OPEN, NOT_SO), 1), (("throughput() > 1",), 3)],
)
def test_the_exit_code_shows_the_verdicts(tmp_path: Path, claims: tuple[str, ...], code: int) -> None:
    shown = invoke("claims", study(tmp_path, *claims), "--root", str(tmp_path), code=code).stdout
    assert all(claim in shown for claim in claims)
    if OPEN in claims:
        assert "seeds needed: " in shown


def test_claims_for_scripts(tmp_path: Path) -> None:
    name = study(tmp_path, SO, "exponent() < 2")
    first, second = orjson.loads(invoke("claims", name, "--json", "--root", str(tmp_path), code=3).stdout)
    assert (first["decision"], first["n"]) == ("supported", 3)
    assert first["low"] < first["mean"] < first["high"]
    assert second["reason"].startswith("not measured")
    assert second["mean"] is None


def test_costs_are_judged_and_shown_with_nothing_trained(tmp_path: Path) -> None:
    path = tmp_path / "costs.py"
    path.write_text(
        '"""A test."""\nfrom ablate import DIGITS, Claim, Study, exponent, params\n'
        'study = Study(question="So?", axes={"mixer": ["attention", "patch_ff"]}, fixed={"pool": "avg"},'
        ' scales={"digits": DIGITS}, benchmark_only=True,'
        ' claims=[Claim("smaller", params(mixer="patch_ff") < params()), Claim("linear", exponent() < 2)])\n'
    )
    words = (str(path), "--root", str(tmp_path))
    smaller, linear = orjson.loads(invoke("claims", *words, "--json", code=3).stdout)
    assert (smaller["decision"], smaller["reason"]) == ("supported", "exact: it does not depend on the seed")
    assert linear["reason"].startswith("not measured")
    rows = orjson.loads(invoke("table", *words, "--json").stdout)
    assert rows[0]["params"] - rows[1]["params"] == -smaller["mean"] > 0
    assert f"first: ablate bench {path}" in " ".join(invoke("plot", *words, code=2).output.split())


def test_help_explains_the_exit_codes() -> None:
    shown = " ".join(invoke("claims", "--help").stdout.split())
    assert "1 if one is contradicted, 3 if none is contradicted but some are undecided" in shown


def test_parquet_keeps_what_csv_cannot(finished: str, tmp_path: Path) -> None:
    for name in ("runs.parquet", "runs.csv"):
        shown = invoke("export", str(tmp_path / name), "--study", "quickstart", "--root", finished).stdout
        assert "9 runs" in shown
    exact, plain = pd.read_parquet(tmp_path / "runs.parquet"), pd.read_csv(tmp_path / "runs.csv")
    assert list(exact["variant"].cat.categories) == ["attention", "patch_ff", "none"]
    assert list(exact) == list(plain)
    assert exact["top1"].tolist() == plain["top1"].tolist()
    assert {"key", "seed", "mixer", "params", "images_per_s", "fingerprint", "commit"} <= set(exact)


def test_all_records_are_exported_without_a_study(finished: str, tmp_path: Path) -> None:
    invoke("export", str(tmp_path / "deep" / "all.parquet"), "--root", finished)
    found = pd.read_parquet(tmp_path / "deep" / "all.parquet")
    assert len(found) == 9
    assert "variant" not in found


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(("runs.xlsx",), "must be .parquet or .csv"), (("a.csv", "--scale", "digits"), "add --study STUDY")],
)
def test_a_wrong_export_is_a_sentence(finished: str, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in invoke("export", *words, "--root", finished, code=2).output
