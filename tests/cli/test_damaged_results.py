"""Damaged records, measurements and caches: every command names them in sentences, and none changes a number unseen.

The sample is small and the same on every machine; `damages` gives the kinds of damage.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.report import figures, files, render
from ablate.report.plots import PLOTS
from ablate.spec.settings import cache_folder
from ablate.store import records, rows
from ablate.store.root import Root
from tests import synthetic
from tests.measure.fake import measurement

pytestmark = pytest.mark.slow

STUDY = "quickstart"
COMMANDS = {
    "status": ["status", STUDY, "--json"],
    "table": ["table", STUDY, "--json"],
    "claims": ["claims", STUDY, "--json"],
    "report": ["report", STUDY, "--no-compare", "--force"],
    "verify": ["verify", f"{STUDY}-digits", "--json"],
    "export": ["export", "runs.csv", "--study", STUDY],
    "list": ["list", "--json"],
    "merge": ["merge", "other", "--dry-run", "--json"],
    "clean": ["clean", "--dry-run"],
}
VALUES = (None, True, -1, 1.5, 2**63, "x", [], {}, [1], {"x": [1]})


@pytest.fixture
def place(root: Root, monkeypatch: pytest.MonkeyPatch) -> Root:
    """Return a root with records, a measurement and a report of few figures, beside an empty one."""
    monkeypatch.chdir(root.path)
    monkeypatch.setenv("ABLATE_CACHE", str(root.path / "cache"))
    monkeypatch.setattr(rows, "SETTLED_NS", 0)
    study = load(STUDY)
    monkeypatch.setattr("ablate.cli.clean.every_study", lambda *_: [study])
    for module in (figures, files):
        monkeypatch.setattr(module, "PLOTS", {"accuracy_params": PLOTS["accuracy_params"]})
    for run in study.runs():
        records.write(root.results, synthetic.record(run))
    speed_record.write(root.results / "speed" / "a-cpu", measurement(of_study(study)[0], [100.0, 101.0]))
    Root.at(root.path / "other").make_writable()
    records.write(root.path / "other" / "results", synthetic.record(study.runs()[0]))
    render(study, study.scale(None), root, models=False)
    return root


def invoke(root: Root, words: list[str]) -> Result:
    result = CliRunner().invoke(app, [*words, "--root", str(root.path)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"{words}: {result.exception!r}") from result.exception
    assert "Traceback" not in result.output
    return result


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a decoded object."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, part in items:
        yield from leaves(part, (*path, name))


def changed(data: bytes, path: tuple[str | int, ...], value: object) -> bytes:
    """Return a file with another value at a path."""
    content = orjson.loads(data)
    part = content
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def damages(data: bytes, chance: random.Random, number: int) -> Iterator[bytes]:
    """Yield a file cut, flipped, and with values of another type or value."""
    paths = [path for path in leaves(orjson.loads(data)) if path not in ((), ("checksum",))]
    for at in range(number):
        other = data
        while other == data:
            path, value = chance.choice(paths), chance.choice(VALUES)
            other = (changed(data, path, value), flipped(data, chance), data[: chance.randrange(len(data))])[at % 3]
        yield other


def record_of(root: Root) -> Path:
    return records.path_of(root.results, load(STUDY).runs()[1])


def speed_of(root: Root) -> Path:
    return speed_record.paths(root.results)[0]


def older(root: Root) -> Path:
    """Return a record as version 0.1 wrote it, without a checksum: only its types can be checked."""
    path = record_of(root)
    content = orjson.loads(path.read_bytes())
    del content["checksum"]
    path.write_bytes(orjson.dumps(content))
    return path


@pytest.mark.parametrize("target", [record_of, speed_of, older])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_damage_ends_a_command_in_a_traceback(place: Root, command: str, target: Callable[[Root], Path]) -> None:
    path = target(place)
    whole = path.read_bytes()
    for content in damages(whole, random.Random(command), 3):
        path.write_bytes(content)
        result = invoke(place, COMMANDS[command])
        if target is record_of and command in ("status", "table", "claims", "export", "report"):
            assert result.exit_code == 2, content
            assert path.stem in result.output, content
        if command == "verify" and target is not older:
            assert result.exit_code == 1
            assert path.name in result.output or path.stem in result.output


def test_no_damaged_cache_changes_a_number(place: Root) -> None:
    words = [COMMANDS[name] for name in ("table", "claims", "list")]
    first = [invoke(place, one).stdout for one in words]
    (kept,) = (cache_folder() / rows.KIND).glob("*.json")
    whole = kept.read_bytes()
    chance = random.Random(1)
    for number in range(12):
        kept.write_bytes(flipped(whole, chance) if number else whole[:-9])
        assert [invoke(place, one).stdout for one in words] == first
