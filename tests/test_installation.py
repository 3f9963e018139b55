"""The command `ablate` when another project's distribution `ablate` has replaced its package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ablate_vision

PACKAGE = {
    "shadowed": "",  # Python finds the package of the other project alone
    "overwritten": "from ablate.report import Report",  # files of both are in one folder, as pip leaves them
}


def start(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the modules of a folder before all others."""
    shutil.copy(Path(ablate_vision.__file__), folder)
    code = f"import sys; sys.argv = {['ablate', *words]}; from ablate_vision import main; main()"
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True)


def foreign_package(folder: Path, content: str) -> None:
    (folder / "ablate" / "report").mkdir(parents=True)
    (folder / "ablate" / "__init__.py").write_text(content)
    (folder / "ablate" / "report" / "__init__.py").touch()


def foreign_distribution(folder: Path) -> None:
    (folder / "ablate-9.8.dist-info").mkdir()
    (folder / "ablate-9.8.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ablate\nVersion: 9.8\n")


@pytest.mark.parametrize("content", PACKAGE.values(), ids=PACKAGE)
def test_another_projects_package_is_reported_in_one_sentence(tmp_path: Path, content: str) -> None:
    foreign_package(tmp_path, content)
    foreign_distribution(tmp_path)
    result = start(tmp_path, "list")
    assert result.returncode == 2, result.stderr
    assert result.stderr.splitlines() == [
        f"ablate: the distribution ablate 9.8 in {tmp_path}, another project, has replaced the package of "
        "ablate-vision; run pip uninstall ablate, then install ablate-vision again"
    ]


def test_another_import_error_is_not_hidden(tmp_path: Path) -> None:
    foreign_package(tmp_path, "import a_missing_dependency")
    result = start(tmp_path, "list")
    assert result.returncode == 1
    assert "No module named 'a_missing_dependency'" in result.stderr


def test_without_another_project_it_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ablate", "list", "--help"])
    with pytest.raises(SystemExit) as end:
        ablate_vision.main()
    assert end.value.code == 0
    assert "ablate list [OPTIONS]" in capsys.readouterr().out
