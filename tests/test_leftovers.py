"""What no study needs is found, and nothing else: not records, not work, not what waits to be trained."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ablate import Scale, Study, job, records
from ablate.launches import Ledger
from ablate.lease import Lease
from ablate.leftovers import KINDS, Leftover, find, remove, size_of
from ablate.paths import Root
from ablate.resources import Resources
from ablate.spec import Run
from tests.tiny import TINY, record_of

BASE = {name: value for name, value in TINY.fields().items() if name != "seed"}
STUDY = Study(question="Which?", axes={"mixer": ["attention", "none"]}, scales={"tiny": Scale(BASE)})
OTHER = TINY.but(dim=32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def worked_on(root: Root, run: Run) -> Path:
    """The folder of a run that was trained for a while."""
    job.request(root, run, Resources())
    folder = root.run_folder(run.key)
    for name, size in (("checkpoints/0001-000000010.pt", 100), ("weights.pt", 50), ("log.txt", 7)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    return folder


def done(root: Root, run: Run) -> Path:
    records.write(root.results, record_of(run))
    return worked_on(root, run)


def paths(found: list[Leftover], kind: str) -> list[Path]:
    return [one.path for one in found if one.kind == kind]


def old(path: Path) -> Path:
    """A file that nobody has touched for two hours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    os.utime(path, (time.time() - 7200,) * 2)
    return path


def test_checkpoints_go_where_there_is_a_record(root: Root) -> None:
    folder, waiting = done(root, TINY), worked_on(root, TINY.but(seed=1))
    found = find(root, [STUDY])
    assert found == [Leftover("checkpoints", folder / "checkpoints", 100)]
    remove(found)
    assert sorted(path.name for path in folder.iterdir()) == ["log.txt", "run.json", "weights.pt"]
    assert (waiting / "checkpoints" / "0001-000000010.pt").exists()
    assert records.index(root.results).keys() == {TINY.key}


def test_a_run_is_wanted_at_any_seed(root: Root) -> None:
    worked_on(root, TINY.but(seed=7))
    assert find(root, [STUDY]) == []


def test_folders_that_no_study_asks_for(root: Root) -> None:
    folder, failed, wanted = done(root, OTHER), worked_on(root, OTHER.but(seed=1)), worked_on(root, TINY)
    (failed / "failure.json").write_text("{}")
    (wanted / "failure.json").write_text("{}")
    found = find(root, [STUDY])
    assert {one.kind for one in found} == {"runs"}
    assert set(paths(found, "runs")) == {folder, failed}
    remove(found)
    assert not folder.exists()
    assert (wanted / "log.txt").exists(), "the log of a failed run that is still wanted stays"
    assert records.index(root.results).keys() == {OTHER.key}, "a record stays, whoever asks for it"


def test_what_is_worked_on_stays(root: Root) -> None:
    done(root, TINY)
    worked_on(root, OTHER)
    leases = [Lease.acquire(root.run_folder(run.key), "a-0") for run in (TINY, OTHER)]
    assert find(root, [STUDY]) == []
    for lease in leases:
        assert lease is not None
        lease.release()
    assert {one.kind for one in find(root, [STUDY])} == {"checkpoints", "runs"}


def test_what_somebody_began_meanwhile_stays(root: Root) -> None:
    folder = worked_on(root, OTHER)
    found = find(root, [STUDY])
    lease = Lease.acquire(folder, "a-0")
    assert lease is not None
    remove(found)
    assert (folder / "log.txt").exists()
    lease.release()


def test_what_a_launch_has_yet_to_train_stays(root: Root) -> None:
    worked_on(root, OTHER)
    ledger = Ledger(root, "local", [OTHER.key])
    logs = root.runs / "launches" / ledger.launch.name
    logs.mkdir()
    (logs / "log.out").write_bytes(b"123")
    assert find(root, [STUDY]) == []
    ledger.leave()
    found = find(root, [STUDY])
    assert paths(found, "runs") == [root.run_folder(OTHER.key)]
    assert paths(found, "launches") == [ledger.path, logs]


def test_a_launch_is_not_over_while_a_run_of_it_has_no_record(root: Root) -> None:
    worked_on(root, TINY)
    ledger = Ledger(root, "local", [TINY.key])
    ledger.leave()
    assert find(root, [STUDY]) == []
    records.write(root.results, record_of(TINY))
    assert paths(find(root, [STUDY]), "launches") == [ledger.path]


@pytest.mark.parametrize("name", [f".log.txt.{32 * 'a'}", ".weights.pt.new", ".clock-abc", ".writable-12"])
def test_files_left_half_written(name: str, root: Root) -> None:
    folder = worked_on(root, TINY)
    young = folder / name
    young.write_bytes(b"12345")
    assert find(root, [STUDY]) == [], "somebody may be writing it"
    left = old(folder / name)
    assert find(root, [STUDY]) == [Leftover("unfinished", left, 5)]


def test_half_written_records_go_and_whole_ones_stay(root: Root) -> None:
    path = records.write(root.results, record_of(TINY))
    left = old(path.parent / f".{path.name}.{32 * 'b'}")
    old(path.parent / ".gitignore")
    found = find(root, [STUDY])
    assert found == [Leftover("unfinished", left, 5)]
    remove(found)
    assert path.exists()


def test_what_can_be_made_again(root: Root, cache: Path) -> None:
    outline = old(root.runs / "cache" / "0123456789abcdef.json")
    pictures = old(cache / "decoded" / "0123456789abcdef" / "pictures.npy")
    note = old(cache / "facts" / "fedcba9876543210.json")
    own = old(cache / "thesis" / "chapter-one.tex")
    found = find(root, [STUDY])
    assert paths(found, "architectures") == [outline]
    assert paths(found, "cache") == [pictures.parent, note]
    remove(found)
    assert not pictures.exists()
    assert own.exists(), "what is not ours stays"


def test_nothing_is_taken_from_under_a_run(root: Root, cache: Path) -> None:
    old(cache / "facts" / "fedcba9876543210.json")
    lease = Lease.acquire(root.run_folder(TINY.key), "a-0")
    assert lease is not None
    assert find(root, [STUDY]) == []
    lease.release()
    assert [one.kind for one in find(root, [STUDY])] == ["cache"]


def test_folders_that_are_no_runs_stay(root: Root) -> None:
    old(root.runs / "notes" / "mine.txt")
    assert find(root, [STUDY]) == []


def test_an_empty_root(tmp_path: Path) -> None:
    assert find(Root(tmp_path / "nothing"), [STUDY]) == []


def test_sizes_do_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(bytes(100_000))
    (tmp_path / "folder" / "file").write_bytes(bytes(10))
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "large")
    assert 10 < size_of(tmp_path / "folder") < 1000


def test_every_kind_is_explained() -> None:
    assert all(meaning and not meaning.endswith(".") for meaning in KINDS.values())
