"""The provenance of a result."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

import ablate
from ablate.spec.resources import Resources
from ablate.train import provenance
from ablate.train.provenance import PACKAGES, provenance_of

OTHER_USER = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}  # lets git take every file for another user's
CPU = torch.device("cpu")


def git(folder: Path, *words: str) -> str:
    who = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.c",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "core.hooksPath=/dev/null",
    ]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a repository, and let the package appear to be in it."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    tree = tmp_path / "tree"
    (tree / "ablate" / "train").mkdir(parents=True)
    (tree / "ablate" / "train" / "provenance.py").write_text("# the code\n")
    (tree / "README.md").write_text("read me\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "all")
    monkeypatch.setattr(provenance, "__file__", str(tree / "ablate" / "train" / "provenance.py"))
    return tree


def commit() -> dict[str, Any]:
    found: dict[str, Any] = provenance._commit.__wrapped__()
    return found


def test_the_provenance_is_complete_and_ready_for_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # a setting of the process, which speed tests change
    found = provenance_of(Resources(threads=2, data={"mine": "/home/anna/mine"}), CPU)
    text = orjson.dumps(found).decode()
    assert set(found["versions"]) == {"python", "torch", "ablate", *PACKAGES}
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["ablate"] == ablate.__version__
    assert found["resources"]["threads"] == 2
    assert found["processes"] == 1
    assert found["arithmetic"] == {"matmul": "highest", "cudnn_tf32": True, "deterministic": False}
    assert found["device"]
    assert found["host"]
    assert datetime.fromisoformat(found["finished"]).tzinfo is not None
    assert "anna" not in text, "records are published without paths of data"


def test_a_clean_tree(tree: Path) -> None:
    assert commit() == {"commit": git(tree, "rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize(
    ("name", "dirty"),
    [("ablate/train/provenance.py", True), ("ablate/new.py", True), ("studies/s.py", True), ("README.md", False)],
)
def test_only_changes_of_code_and_studies_make_a_tree_dirty(tree: Path, name: str, dirty: bool) -> None:
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("changed\n")
    assert commit()["dirty"] is dirty


def test_variables_of_git_are_ignored(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git hook sets GIT_DIR for its child processes."""
    head = git(tree, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert commit()["commit"] == head


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "ablate" / "train" / "provenance.py"))
    assert commit() == {"commit": None, "dirty": None}


def test_a_machine_without_git_still_trains(
    tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() == {"commit": None, "dirty": None}
    assert caplog.messages == [f"the record has no commit of {tree}: cannot start git: No such file or directory"]


def test_a_damaged_repository_is_told_in_gits_words(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tree / ".git" / "HEAD").write_text("nonsense")
    assert commit() == {"commit": None, "dirty": None}
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"the record has no commit of {tree}: fatal: not a git repository")


def test_a_repository_of_another_user_has_its_commit(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git refuses it by itself, as it may run programs; the code in it runs here anyway."""
    head = git(tree, "rev-parse", "HEAD")
    without = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    seen = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **more: seen(command, **{**more, "env": more["env"] | without | OTHER_USER})
    )
    assert commit() == {"commit": head, "dirty": False}


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert provenance._version("no-such-package-anywhere") is None
