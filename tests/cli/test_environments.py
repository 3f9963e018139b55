"""What a shell, notebook or other user leaves behind decides no result and ends no command in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import ablate
from ablate import load
from ablate.store import records
from tests import synthetic

PACKAGE = str(Path(ablate.__file__).parents[1])
STUDY = """
from ablate import DIGITS, Study

study = Study(
    question="Which?",
    axes={"mixer": ["attention", "patch_ff", "none"]},
    fixed={"pool": "avg", "epochs": 1, "warmup_epochs": 0},
    scales={"digits": DIGITS},
    seeds=2,
)
"""


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study and a record of each of its runs."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "asked.py").write_text(STUDY)
    for at, run in enumerate(load(folder / "asked.py").runs()):
        records.write(folder / "results", synthetic.record(run, top1=80.0 + at))
    return folder


def ablate_in(folder: Path, *words: str, shell: str = "", encoding: str = "utf-8", **environment: str) -> Done:
    """Run `python -m ablate`, as a shell does that has set some variables; `shell` follows the command."""
    command = [sys.executable, "-m", "ablate", *words]
    if shell:
        command = ["/bin/bash", "-c", f'"$@" {shell}', "bash", *command]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PACKAGE, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    found = Done(done.returncode, *(text.decode(encoding) for text in (done.stdout, done.stderr)))
    assert "Traceback" not in found.err, found.err
    return found


def test_files_in_the_current_folder_are_not_imported(here: Path) -> None:
    names = "json logging pathlib profile random re secrets subprocess typing click numpy orjson pandas rich typer"
    for name in names.split():
        (here / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    for name in ("timm", "torch"):
        (here / name).mkdir()
        (here / name / "__init__.py").write_text("raise SystemExit('imported from the current folder')")
    for variable in (PACKAGE, f"{PACKAGE}:"):  # an empty entry means the current folder
        done = ablate_in(here, "table", "asked.py", PYTHONPATH=variable)
        assert (done.code, done.err) == (0, "")
        assert "patch_ff" in done.out


@pytest.mark.parametrize("columns", ["0", "-5", "1", "99999999999"])
def test_the_width_of_a_terminal_that_is_none(here: Path, columns: str) -> None:
    done = ablate_in(here, "status", "asked.py", COLUMNS=columns, LINES="0", TERM="dumb")
    assert (done.code, done.err) == (0, "")
    assert "patch_ff, seed 1" in done.out
    assert "6 done" in done.out


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_output_in_an_encoding_without_some_letters(here: Path, encoding: str) -> None:
    """The letters are replaced; a name of a file is read as UTF-8 all the same."""
    (here / "größe.py").write_text(STUDY, encoding="utf-8")
    variables = {"PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = ablate_in(here, "table", "größe.py", encoding=encoding, **variables)
    assert (done.code, done.err) == (0, "")
    assert "patch_ff" in done.out
    assert "???????" in done.out


def test_figures_do_not_depend_on_settings_of_matplotlib(here: Path) -> None:
    """Neither a notebook's backend nor a matplotlibrc, here with a font that does not exist, decides how they look."""
    words = ["plot", "asked.py", "--plot", "differences", "--format", "png"]
    usual = ablate_in(here, *words)
    assert usual.code == 0
    figures = sorted(here.rglob("*.png"))
    before = [path.read_bytes() for path in figures]
    (here / "matplotlibrc").write_text("font.family: no such font\nfont.size: 30\nlines.linewidth: 9\nnonsense: 1\n")
    (here / "other").write_bytes(b"font.size: 30 # \xff")
    for variables in (
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(here / "other")},
    ):
        done = ablate_in(here, *words, **variables)
        assert done == usual
        assert [path.read_bytes() for path in figures] == before
        (here / "matplotlibrc").unlink(missing_ok=True)
    assert figures


@pytest.mark.parametrize("words", ["status asked.py", "table asked.py", "-h"])
def test_output_that_cannot_be_written(here: Path, words: str) -> None:
    """A full disk is reported; a closed stream and a pipe whose reader has ended are no errors."""
    done = ablate_in(here, *words.split(), shell="> /dev/full")
    assert (done.code, done.err) == (1, "ablate: cannot write the output: No space left on device\n")
    done = ablate_in(here, *words.split(), shell='<&- >&- 2>&-; echo $?; "$@" | true; echo ${PIPESTATUS[0]}')
    assert (done.code, done.out, done.err) == (0, "0\n0\n" if "-h" not in words else "0\n1\n", "")


@pytest.mark.parametrize("shell", ["2> /dev/full", "2>&-", "2< /dev/null", ">&- 2>&- <&-"])
def test_an_error_that_cannot_be_written(here: Path, shell: str) -> None:
    done = ablate_in(here, "table", "none.py", shell=shell)
    assert (done.code, done.out, done.err) == (2, "", "")


LEFT = {
    "a pod": {
        "RANK": "3",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "x",
        "MASTER_ADDR": "nowhere",
        "CUDA_VISIBLE_DEVICES": "abc",
    },
    "an allocation": {"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_STEP_ID": "4294967290"},
    "a container": {"HOME": "/dev/null", "TMPDIR": "/nonexistent", "OMP_NUM_THREADS": "abc", "TZ": "Nonsense/Where"},
    "a hook": {"GIT_DIR": "/nonsense", "PATH": "/nonexistent", "http_proxy": "x", "PYTHONHASHSEED": "7"},
    "a developer": {
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "FORCE_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    },
}


def test_what_others_left_changes_no_output(here: Path) -> None:
    """And no run is trained again: all have a record."""
    usual = ablate_in(here, "table", "asked.py", "--json")
    for variables in LEFT.values():
        assert ablate_in(here, "table", "asked.py", "--json", **variables).out == usual.out
        assert "6 done" in ablate_in(here, "status", "asked.py", **variables).out


def test_a_limit_of_the_size_of_files(here: Path) -> None:
    """A full disk is reported with the name of the file, and an earlier file stays."""
    (here / "runs.csv").write_text("old")
    done = ablate_in(here, "export", "runs.csv", shell="> /dev/null", ABLATE_CACHE=str(here / "cache"))
    assert done.code == 0
    whole = (here / "runs.csv").read_bytes()
    limited = [
        "/bin/bash",
        "-c",
        'ulimit -f 1; exec "$@"',
        "bash",
        sys.executable,
        "-m",
        "ablate",
        "export",
        "runs.csv",
    ]
    failed = subprocess.run(
        limited, cwd=here, env={**os.environ, "PYTHONPATH": PACKAGE}, capture_output=True, check=False
    )
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr == b"ablate: cannot use runs.csv: File too large; free disk space\n"
    assert (here / "runs.csv").read_bytes() == whole
    assert not list(here.glob(".runs.csv*"))
