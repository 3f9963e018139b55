"""The start of a command: what it changes in its process, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ablate import startup

PACKAGE = str(Path(startup.__file__).parents[1])


def settled(code: str, **environment: str) -> str:
    """What a fresh interpreter prints after it has settled its environment."""
    words = [sys.executable, "-c", f"from ablate.startup import settle; settle(); {code}"]
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    done = subprocess.run(
        words, capture_output=True, env=clean | {"PYTHONPATH": PACKAGE} | environment, check=True, stdin=subprocess.PIPE
    )
    assert done.stderr == b""
    return done.stdout.decode(errors="replace").strip()


def test_variables_that_a_command_cannot_use_are_ignored() -> None:
    code = "import os; print(*map(os.environ.get, ['COLUMNS', 'LINES', 'MPLBACKEND', 'PYTHONWARNINGS']))"
    assert settled(code, COLUMNS="120", LINES="50", MPLBACKEND="nonsense", PYTHONWARNINGS="error") == "120 50 agg None"
    code = "import os; print(os.environ.get('NVIDIA_TF32_OVERRIDE'), bool(os.environ['LOGNAME']))"
    assert settled(code, NVIDIA_TF32_OVERRIDE="1", LOGNAME="", USER="") == "None True"
    code = "import os; print(*map(os.environ.get, ['COLUMNS', 'LINES', 'MPLBACKEND', 'PYTHONWARNINGS']))"
    for columns in ("0", "-5", "abc", "1", "²", "9" * 5000):
        assert settled(code, COLUMNS=columns, LINES="0") == "None None agg None"


def test_warnings_are_no_errors() -> None:
    code = "import warnings; warnings.warn('x', DeprecationWarning, stacklevel=10); print(len(warnings.filters) > 3)"
    assert settled(code, PYTHONWARNINGS="error") == "True"


def test_docstrings_are_kept() -> None:
    """Help and captions are made from them."""
    code = "from ablate import startup; print(bool(startup.__doc__), __debug__)"
    assert settled(code, PYTHONOPTIMIZE="2") == "True True"


@pytest.mark.parametrize(("encoding", "delta"), [("latin-1", "?"), ("cp1252", "?"), ("ascii", "Δ")])
def test_a_letter_that_the_output_lacks_is_replaced(encoding: str, delta: str) -> None:
    """Names of files are UTF-8 all the same, here and in children."""
    code = "import os; print(sys.getfilesystemencoding(), os.environ['PYTHONUTF8'], '\\N{GREEK CAPITAL LETTER DELTA}')"
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "PYTHONCOERCECLOCALE": "0"}
    assert settled(f"import sys; {code}", **variables) == f"utf-8 1 {delta}"


def test_the_current_folder_is_no_place_to_import_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, other = str(tmp_path), str(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    for variable, path, after in (
        ("", [here, "", other], [other, PACKAGE]),
        (f":{other}:", [here, other, here], [other, PACKAGE]),  # an empty entry means the current folder
        (here, [here, other, PACKAGE], [here, other, PACKAGE]),
    ):
        monkeypatch.setenv("PYTHONPATH", variable)
        monkeypatch.setattr(sys, "path", path)
        startup.leave_current_folder()
        assert sys.path == after


def test_a_removed_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", ["", PACKAGE])
    startup.leave_current_folder()
    assert sys.path == [PACKAGE]
    done = subprocess.run([sys.executable, "-m", "ablate", "list"], capture_output=True, env={"PYTHONPATH": PACKAGE})
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"ablate: the current folder was removed; change to another one\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened(closed: str, tmp_path: Path) -> None:
    """A file that is opened later does not become the standard output."""
    code = f"""
from ablate.startup import settle
settle()
import os, sys
file = open({str(tmp_path / "file")!r}, "w")
print("out"), print("error", file=sys.stderr), sys.stdin.read()
os.write(1, b"raw"), os.write(2, b"raw")
file.write(str(file.fileno() > 2))
"""
    (tmp_path / "code.py").write_text(code)
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, str(tmp_path / "code.py")],
        env=os.environ | {"PYTHONPATH": PACKAGE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert (tmp_path / "file").read_text() == "True"
    printed = not closed.replace("2>", "").count(">")
    assert sorted(done.stdout) == sorted(b"rawout\n" if printed else b"")
