"""Damaged files under `runs/`: every command names them, and continues with the other runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.dispatch import cancel, notes, worker
from ablate.dispatch.lease import STALE_S, Owner
from ablate.report.manifest import Local
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.store.root import Root
from tests import synthetic

pytestmark = pytest.mark.slow

STUDY = "quickstart"
RUNS = load(STUDY).runs()
RUN = RUNS[0]
OWNER = {**asdict(Owner("far-0", "another-host", 1234, "1", "another-machine")), "released": True}
ORDER = {"run": RUN.to_dict(), "resources": Resources().to_dict(), "files": {}}
NOTE = {"error": "no luck", "kind": "RuntimeError", "worker": "w", "step": 1, "time": 1.0, "log": ["a line"]}
PROGRESS = {"epoch": 1, "epochs": 30, "step": 1, "steps": 9, "elapsed_s": 1.0, "eta_s": 2.0, "train_loss": 1.0}
LAUNCH = {"place": "local", "keys": [RUN.key], "owner": OWNER, "jobs": {"7_0": [RUN.key]}}
FILES: dict[str, dict[str, Any]] = {
    f"{RUN.key}/run.json": ORDER,
    f"{RUN.key}/failure.json": NOTE,
    f"{RUN.key}/progress.json": PROGRESS,
    f"{RUN.key}/lease.1": OWNER,
    "launches/1-local.json": LAUNCH,
}
OTHER_VALUES: list[Any] = [[], 2**63, None, True, 1.5, "x", {"x": [1]}]


def damages(content: dict[str, Any]) -> Iterator[bytes]:
    """Yield the file emptied, cut, flipped, of other JSON types, and with each field missing or of another type."""
    whole = orjson.dumps(content)
    yield from (whole[: len(whole) * part // 7] for part in range(1, 7))
    yield from (b"", b"[]", b"1", b"null", b'"x"', b"{}", b"NaN", b"Infinity", b"1e999", b"\xff\xfe", b"[" * 5000)
    yield whole.replace(b'"', b"\x00", 3)
    for name in content:
        yield orjson.dumps({key: value for key, value in content.items() if key != name})
        yield from (orjson.dumps(content | {name: other}) for other in OTHER_VALUES)
        yield orjson.dumps(content | {name: "HERE"}).replace(b'"HERE"', b"Infinity")


@pytest.fixture
def place(root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Root:
    """Return a root with a requested run that has a log, and another run that is done."""
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cancel, "WAIT_S", 0.2)
    worker.request(root, RUN, Resources())
    (root.run_folder(RUN.key) / "log.txt").write_text("a line\n")
    records.write(root.results, synthetic.record(RUNS[1]))
    return root


def invoke(root: Root, *words: str) -> Result:
    result = CliRunner().invoke(app, [*words, "--root", str(root.path)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"{words}: {result.exception!r}") from result.exception
    assert "Traceback" not in result.output
    return result


def write(root: Root, name: str, content: bytes, age_s: float = 0.0) -> Path:
    path = root.runs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


COMMANDS = {
    "status": (["status", STUDY], {0, 1}),
    "status --json": (["status", STUDY, "--json"], {0, 1}),
    "logs": (["logs", RUN.key], {0}),
    "clean": (["clean", "--yes"], {0}),
    "cancel": (["cancel", STUDY], {0}),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FILES)
def test_no_damage_stops_a_command(place: Root, monkeypatch: pytest.MonkeyPatch, name: str, command: str) -> None:
    study = load(STUDY)
    monkeypatch.setattr("ablate.study.load.load", lambda _: study)
    words, codes = COMMANDS[command]
    for content in damages(FILES[name]):
        if not name.endswith("lease.1"):
            write(place, f"{RUN.key}/lease.1", orjson.dumps(OWNER | {"released": "progress" not in name}))
        write(place, f"{RUN.key}/run.json", orjson.dumps(ORDER))
        write(place, name, content)
        result = invoke(place, *words)
        assert result.exit_code in codes, (content, result.output)
        if command == "status --json":
            assert {one["key"] for one in orjson.loads(result.output) if one["state"] == "done"} == {RUNS[1].key}
        for lease in place.run_folder(RUN.key).glob("lease.*"):
            lease.unlink()


def test_status_names_the_file_and_ends_with_1(place: Root) -> None:
    path = write(place, f"{RUN.key}/failure.json", b"7")
    result = invoke(place, "status", STUDY)
    assert result.exit_code == 1
    assert "1 unreadable" in result.output
    assert f"{path} is unreadable: it must be a JSON object, got 7; delete it, or run the study again" in result.output


def test_status_and_clean_name_a_damaged_launch(place: Root) -> None:
    path = write(place, "launches/1-local.json", b"{}")
    sentence = f"{path} is unreadable: it lacks place, keys, jobs; "
    assert f"{sentence}its runs are not known; delete it if they have ended" in invoke(place, "status", STUDY).output
    assert f"kept what may belong to it: {sentence}" in invoke(place, "clean", "--dry-run").output


def test_logs_and_cancel_name_a_damaged_request(place: Root) -> None:
    path = write(place, f"{RUN.key}/run.json", b"")
    (place.run_folder(RUN.key) / "log.txt").unlink()
    for command in ("logs", "cancel"):
        result = invoke(place, command, RUN.key)
        assert result.exit_code == 2
        assert f"ablate: {path} is unreadable: it is not JSON" in result.output


def test_cancel_stops_a_run_whose_lease_is_damaged(place: Root) -> None:
    write(place, f"{RUN.key}/lease.1", b"[]")
    assert "cancelled: 1 run" in invoke(place, "cancel", STUDY).output
    assert not (place.run_folder(RUN.key) / "run.json").exists()
    assert (place.run_folder(RUN.key) / "lease.2").exists(), "its worker sees that it has lost the lease"


def test_an_old_damaged_lease_is_named(place: Root) -> None:
    path = write(place, f"{RUN.key}/lease.1", b"[]", STALE_S + 1)
    assert f"{path} is unreadable" in invoke(place, "status", STUDY).output


@pytest.mark.parametrize("content", [b"", b"7", b'"x"', b"[]", b"{"])
def test_a_report_names_a_damaged_failure_note(place: Root, content: bytes) -> None:
    write(place, f"{RUN.key}/failure.json", content)
    found = Local.read(place, [RUN.key])
    assert found.failures[RUN.key].startswith(f"./runs/{RUN.key}/failure.json is unreadable: ")
    assert notes.failure_of(place.run_folder(RUN.key)) is None


def test_the_terminal_obeys_no_escape_sequence_of_a_file(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    for text in ("\x1b[2J", "\x1b]0;title\x07", "\x9b31m"):
        (folder / "log.txt").write_text(f"{text} log\n", encoding="utf-8")
        write(place, f"{RUN.key}/failure.json", orjson.dumps(NOTE | {"error": f"{text} note"}))
        shown = ascii(text)[1:-1]
        assert invoke(place, "logs", RUN.key).output == f"{shown} log\n"
        output = invoke(place, "status", STUDY).output
        assert f"{shown} note" in output
        assert text not in output
        assert Local.read(place, [RUN.key]).failures[RUN.key] == f"{shown} note"
