"""Files that no study needs are found; records, runs in progress and requested runs are not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson
import pytest

from ablate import Scale, Study
from ablate.dispatch import worker
from ablate.dispatch.cleanup import KINDS, Leftover, find, remove, size_of, unreadable
from ablate.dispatch.lease import Lease
from ablate.dispatch.ledger import Ledger
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests.tiny import TINY, record_of

BASE = {name: value for name, value in TINY.to_dict().items() if name != "seed"}
STUDY = Study(question="Which?", axes={"mixer": ["attention", "none"]}, scales={"tiny": Scale(BASE)})
OTHER = TINY.replace(dim=32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new cache folder."""
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def worked_on(root: Root, run: Run) -> Path:
    """Return the folder of a run that was trained for a while."""
    worker.request(root, run, Resources())
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
    """Make a file two hours old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    os.utime(path, (time.time() - 7200,) * 2)
    return path


def test_checkpoints_of_recorded_runs_are_found(root: Root) -> None:
    folder, waiting = done(root, TINY), worked_on(root, TINY.replace(seed=1))
    found = find(root, [STUDY])
    assert found == [Leftover("checkpoints", folder / "checkpoints", 100)]
    remove(found)
    assert sorted(path.name for path in folder.iterdir()) == ["log.txt", "run.json", "weights.pt"]
    assert (waiting / "checkpoints" / "0001-000000010.pt").exists()
    assert records.index(root.results).keys() == {TINY.key}


def test_a_run_is_needed_with_any_seed(root: Root) -> None:
    worked_on(root, TINY.replace(seed=7))
    assert find(root, [STUDY]) == []


def test_folders_of_runs_that_no_study_contains(root: Root) -> None:
    folder, failed, needed = done(root, OTHER), worked_on(root, OTHER.replace(seed=1)), worked_on(root, TINY)
    (failed / "failure.json").write_text("{}")
    (needed / "failure.json").write_text("{}")
    found = find(root, [STUDY])
    assert {one.kind for one in found} == {"runs"}
    assert set(paths(found, "runs")) == {folder, failed}
    remove(found)
    assert not folder.exists()
    assert (needed / "log.txt").exists(), "the log of a failed run that a study contains is kept"
    assert records.index(root.results).keys() == {OTHER.key}, "records are kept"


def test_runs_in_progress_are_kept(root: Root) -> None:
    done(root, TINY)
    worked_on(root, OTHER)
    leases = [Lease.acquire(root.run_folder(run.key), "a-0") for run in (TINY, OTHER)]
    assert find(root, [STUDY]) == []
    for lease in leases:
        assert lease is not None
        lease.release()
    assert {one.kind for one in find(root, [STUDY])} == {"checkpoints", "runs"}


def test_runs_that_have_just_started_are_kept(root: Root) -> None:
    folder = worked_on(root, OTHER)
    found = find(root, [STUDY])
    lease = Lease.acquire(folder, "a-0")
    assert lease is not None
    remove(found)
    assert (folder / "log.txt").exists()
    lease.release()


def test_queued_runs_are_kept(root: Root) -> None:
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


def test_a_launch_is_kept_while_one_of_its_runs_has_no_record(root: Root) -> None:
    worked_on(root, TINY)
    ledger = Ledger(root, "local", [TINY.key])
    ledger.leave()
    assert find(root, [STUDY]) == []
    records.write(root.results, record_of(TINY))
    assert paths(find(root, [STUDY]), "launches") == [ledger.path]


@pytest.mark.parametrize("name", [f".log.txt.{32 * 'a'}", ".weights.pt.new", ".clock-abc", ".writable-12"])
def test_incomplete_files(name: str, root: Root) -> None:
    folder = worked_on(root, TINY)
    young = folder / name
    young.write_bytes(b"12345")
    assert find(root, [STUDY]) == [], "another process may be writing it"
    left = old(folder / name)
    assert find(root, [STUDY]) == [Leftover("unfinished", left, 5)]


def test_incomplete_records_are_found_and_complete_ones_are_not(root: Root) -> None:
    path = records.write(root.results, record_of(TINY))
    left = old(path.parent / f".{path.name}.{32 * 'b'}")
    old(path.parent / ".gitignore")
    found = find(root, [STUDY])
    assert found == [Leftover("unfinished", left, 5)]
    remove(found)
    assert path.exists()


def test_cached_files(root: Root, cache: Path) -> None:
    outline = old(root.runs / "cache" / "0123456789abcdef.json")
    images = old(cache / "decoded" / "0123456789abcdef" / "images.npy")
    note = old(cache / "facts" / "fedcba9876543210.json")
    own = old(cache / "thesis" / "chapter-one.tex")
    found = find(root, [STUDY])
    assert paths(found, "architectures") == [outline]
    assert paths(found, "cache") == [images.parent, note]
    remove(found)
    assert not images.exists()
    assert own.exists(), "what is not ours stays"


def test_a_damaged_launch_keeps_what_may_be_its_runs(root: Root, cache: Path) -> None:
    done(root, TINY)
    worked_on(root, OTHER)
    old(cache / "facts" / "fedcba9876543210.json")
    assert {one.kind for one in find(root, [STUDY])} == {"checkpoints", "runs", "cache"}
    path = root.runs / "launches" / "1-local.json"
    path.parent.mkdir()
    path.write_text("[]")
    assert find(root, [STUDY]) == []
    assert [one.path for one in unreadable(root)] == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"run": 7, "resources": {}}'])
def test_a_run_with_a_damaged_request_is_kept(root: Root, text: str) -> None:
    """It may be a run of a study, with another seed than 0."""
    folder = worked_on(root, OTHER)
    (folder / "run.json").write_text(text)
    assert find(root, [STUDY]) == []
    assert [one.path for one in unreadable(root)] == [folder / "run.json"]


def test_a_worker_with_a_damaged_lease_keeps_the_runs_of_its_launch(root: Root) -> None:
    first, second = OTHER, OTHER.replace(seed=1)
    worked_on(root, second)
    ledger = Ledger(root, "local", [first.key, second.key])
    ledger.leave()
    (worked_on(root, first) / "lease.1").write_text("[]")
    assert find(root, [STUDY]) == []


def test_the_cache_is_kept_during_a_run(root: Root, cache: Path) -> None:
    old(cache / "facts" / "fedcba9876543210.json")
    lease = Lease.acquire(root.run_folder(TINY.key), "a-0")
    assert lease is not None
    assert find(root, [STUDY]) == []
    lease.release()
    assert [one.kind for one in find(root, [STUDY])] == ["cache"]


def test_other_folders_are_kept(root: Root) -> None:
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


def tree(folder: Path) -> set[Path]:
    """Return every path in a folder; links are not followed."""
    return {Path(here, name) for here, folders, names in os.walk(folder) for name in (*folders, *names)}


def precious(folder: Path) -> Path:
    """Return a folder outside of the root, whose files must be kept."""
    for name in ("precious.txt", "0123456789abcdef.json", "checkpoints/0001-000000010.pt"):
        old(folder / name)
    old(folder / f".log.txt.{32 * 'a'}")
    return folder


@pytest.mark.parametrize("absolute", [False, True])
def test_the_content_of_a_launch_file_gives_no_path(root: Root, tmp_path: Path, absolute: bool) -> None:
    victim = precious(tmp_path / "victim")
    ledger = Ledger(root, "local", [OTHER.key])
    ledger.leave()
    name = str(victim) if absolute else "../../../victim"
    content = orjson.loads(ledger.path.read_bytes()) | {"name": name, "logs": name}
    path = ledger.path.rename(ledger.path.with_name("X.json"))
    path.write_bytes(orjson.dumps(content))
    (path.with_suffix("") / "0.log").parent.mkdir()
    before = tree(victim)
    found = find(root, [STUDY])
    assert paths(found, "launches") == [path, path.with_suffix("")]
    remove(found)
    assert tree(victim) == before
    assert not path.exists()


@pytest.mark.parametrize("place", ["launches", "cache", "submitit"])
def test_the_target_of_a_linked_folder_is_kept(root: Root, tmp_path: Path, place: str) -> None:
    victim = precious(tmp_path / "victim")
    ledger = Ledger(root, "local", [OTHER.key])
    ledger.leave()
    (victim / ledger.path.name).write_bytes(ledger.path.read_bytes())
    ledger.path.unlink()
    (root.runs / "launches").rmdir()
    (root.runs / place).symlink_to(victim)
    before = tree(victim)
    assert find(root, [STUDY]) == []
    remove(find(root, [STUDY]))
    assert tree(victim) == before


@pytest.mark.parametrize("dangling", [False, True])
def test_a_linked_run_folder_is_removed_as_a_link(root: Root, tmp_path: Path, dangling: bool) -> None:
    victim = precious(tmp_path / "victim")
    link = root.run_folder(OTHER.key)
    link.symlink_to(tmp_path / "nowhere" if dangling else victim)
    before = tree(victim)
    found = find(root, [STUDY])
    assert paths(found, "runs") == [link]
    assert len(found) == 1
    remove(found)
    assert not link.is_symlink()
    assert tree(victim) == before


def test_checkpoints_in_the_target_of_a_linked_folder_are_kept(root: Root, tmp_path: Path) -> None:
    victim = precious(tmp_path / "victim")
    folder = done(root, TINY)
    (victim / "run.json").write_bytes((folder / "run.json").read_bytes())
    folder.rename(tmp_path / "moved")
    folder.symlink_to(victim)
    before = tree(victim)
    assert find(root, [STUDY]) == []
    assert tree(victim) == before


def test_linked_checkpoints_are_removed_as_a_link(root: Root, tmp_path: Path) -> None:
    victim = precious(tmp_path / "victim")
    folder = done(root, TINY)
    (folder / "checkpoints").rename(tmp_path / "moved")
    (folder / "checkpoints").symlink_to(victim)
    (folder / "more").symlink_to(victim)
    before = tree(victim)
    found = find(root, [STUDY])
    assert paths(found, "checkpoints") == [folder / "checkpoints"]
    assert len(found) == 1
    remove(found)
    assert not (folder / "checkpoints").is_symlink()
    assert (folder / "more").is_symlink(), "it is not ours"
    assert tree(victim) == before


def test_a_root_on_another_disk_is_cleaned_too(root: Root, tmp_path: Path) -> None:
    root.runs.rename(tmp_path / "scratch")
    root.runs.symlink_to(tmp_path / "scratch")
    folder = worked_on(root, OTHER)
    found = find(root, [STUDY])
    assert paths(found, "runs") == [folder]
    remove(found)
    assert not (tmp_path / "scratch" / OTHER.key).exists()


def test_other_files_in_the_cache_are_kept(root: Root, cache: Path, tmp_path: Path) -> None:
    victim = precious(tmp_path / "victim")
    own, ours = old(cache / "thesis" / "0123456789abcdef.json"), old(cache / "rows" / "0123456789abcdef.json")
    (cache / "decoded").symlink_to(victim)
    (cache / "facts").mkdir()
    link = cache / "facts" / "0123456789abcdef"
    link.symlink_to(victim)
    before = tree(victim)
    found = find(root, [STUDY])
    assert paths(found, "cache") == [link, ours]
    remove(found)
    assert own.exists()
    assert not link.is_symlink()
    assert tree(victim) == before


def test_each_path_is_named_once(root: Root) -> None:
    folder = done(root, TINY)
    old(folder / "checkpoints" / ".0001-000000010.pt.new")
    assert [one.path for one in find(root, [STUDY])] == [folder / "checkpoints"]


def test_runs_of_a_worker_that_outlived_its_launcher_are_kept(root: Root) -> None:
    worked_on(root, OTHER)
    worked_on(root, OTHER.replace(seed=1))
    ledger = Ledger(root, "local", [OTHER.key, OTHER.replace(seed=1).key])
    ledger.leave()
    lease = Lease.acquire(root.run_folder(OTHER.key), f"{ledger.launch.name}-0")
    assert lease is not None
    assert find(root, [STUDY]) == []
    lease.release()
    assert len(paths(find(root, [STUDY]), "runs")) == 2


@pytest.mark.parametrize("change", [{"epochs": 7}, {"epochs": 7, "seed": 3}, {"train_fraction": 0.5}])
def test_weights_of_runs_that_differ_in_budget_only_are_kept_unless_asked_for(
    root: Root, change: dict[str, float]
) -> None:
    folder = done(root, TINY.replace(**change))
    assert [one.path for one in find(root, [STUDY])] == [folder / "checkpoints"]
    assert [one.path for one in find(root, [STUDY], weights=True)] == [folder]


def test_a_run_of_another_budget_without_record_or_weights_is_not_kept(root: Root) -> None:
    without_record, without_weights = worked_on(root, TINY.replace(epochs=7)), done(root, TINY.replace(epochs=8))
    (without_weights / "weights.pt").unlink()
    assert set(paths(find(root, [STUDY]), "runs")) == {without_record, without_weights}


def test_a_cancelled_run_of_any_seed_of_a_study_is_needed(root: Root) -> None:
    for seed in (0, 1, 5):
        (worked_on(root, TINY.replace(seed=seed)) / "run.json").unlink()
    assert find(root, [STUDY]) == []


def test_a_run_that_was_just_requested_is_kept(root: Root) -> None:
    """Its launch may not have a file yet."""
    worker.request(root, OTHER, Resources())
    folder = root.run_folder(OTHER.key)
    assert find(root, [STUDY]) == []
    os.utime(folder / "run.json", (time.time() - 7200,) * 2)
    assert paths(find(root, [STUDY]), "runs") == [folder]


def test_a_damaged_record_keeps_its_checkpoints(root: Root) -> None:
    done(root, TINY)
    path = records.path_of(root.results, TINY)
    path.write_bytes(path.read_bytes().replace(b'"top1": 50.0', b'"top1": 99.0'))
    assert find(root, [STUDY]) == []


def test_the_log_of_a_detached_launch_goes_with_it(root: Root) -> None:
    done(root, TINY)
    log = root.runs / "launches" / "20260101-120000-12.log"
    ledger = Ledger(root, "local", [TINY.key])
    log.write_text("a line")
    assert log not in paths(find(root, [STUDY]), "launches"), "it is supervised"
    ledger.leave()
    assert paths(find(root, [STUDY]), "launches") == [ledger.path, log]
    ledger.path.unlink()
    assert find(root, [STUDY])[-1].path != log, "a launch that begins has no file yet"
    os.utime(log, (time.time() - 7200,) * 2)
    assert paths(find(root, [STUDY]), "launches") == [log]


def test_the_log_of_a_launch_with_a_missing_run_is_kept(root: Root) -> None:
    worked_on(root, TINY)
    ledger = Ledger(root, "local", [TINY.key])
    (root.runs / "launches" / "20260101-120000-12.log").write_text("why it ended")
    ledger.leave()
    assert find(root, [STUDY]) == []


def test_what_an_ended_slurm_job_had_reached_is_found(root: Root) -> None:
    folder = root.runs / "launches"
    folder.mkdir(parents=True)
    (folder / "7_0.reached").write_text("[]")
    assert paths(find(root, [STUDY]), "launches") == [folder / "7_0.reached"]
