"""Settle the environment of a command, before it imports anything else.

A shell, notebook, container or service can leave closed streams, an encoding without a letter that a table needs, the
backend of a notebook, or a terminal 0 columns wide. None of these may end a command or decide what it prints.
"""

import os
import sys

LEAST_COLUMNS, MOST_COLUMNS = 40, 10_000  # of a terminal; COLUMNS and LINES beyond are ignored

# They force or forbid TF32 arithmetic on a GPU, whatever the settings of a run are.
DECIDING = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")


def settle() -> None:
    """Make streams, text encoding, warnings and variables of this process and its children what a command expects."""
    leave_current_folder()
    _open_streams()
    _use_utf8_and_docstrings()
    if _is_lost():
        print("ablate: the current folder was removed; change to another one", file=sys.stderr)
        sys.exit(2)
    _raise_no_warnings()
    _ignore_settings_of_matplotlib()
    if not any(map(os.environ.get, ("LOGNAME", "USER"))):
        os.environ["LOGNAME"] = str(os.getuid())  # torch asks for the name of a user, who may be in no list of users
    for name in DECIDING:
        os.environ.pop(name, None)
    for name, least in (("COLUMNS", LEAST_COLUMNS), ("LINES", 1)):
        text = os.environ.get(name, "")
        if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= MOST_COLUMNS):
            os.environ.pop(name, None)


def leave_current_folder() -> None:
    """Import nothing from the current folder, where `python -m` looks first: a `random.py` would replace Python's.

    The folder of this package comes last instead, since it may have been found only there.
    """
    from_variable = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    here = [""] if _is_lost() else ["", os.getcwd()]
    sys.path[:] = [entry for entry in sys.path if entry not in here or entry in from_variable]
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if package not in sys.path:
        sys.path.append(package)


def _is_lost() -> bool:
    """Whether the current folder was removed."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _open_streams() -> None:
    """Open closed standard streams on the null device; else the next file that is opened would take their place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _use_utf8_and_docstrings() -> None:
    """Start again in Python's UTF-8 mode where the names of files have another encoding; output keeps its own.

    Start again also without PYTHONOPTIMIZE, which would leave out docstrings: help and captions are made from them.
    """
    again: dict[str, str] = {}
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        again = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
    if again or (sys.flags.optimize and os.environ.pop("PYTHONOPTIMIZE", "")):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | again)  # noqa: S606
    os.environ["PYTHONUTF8"] = "1"  # of children
    os.environ.pop("PYTHONIOENCODING", None)
    for stream in (sys.stdout, sys.stderr):
        encoding = "utf-8" if stream.encoding in ("ascii", "us-ascii") else None  # as Python does in the locale C
        stream.reconfigure(encoding=encoding, errors="replace")  # type: ignore[union-attr]


def _raise_no_warnings() -> None:
    """Do not turn a warning of a library into an error, which PYTHONWARNINGS=error asks for."""
    import warnings

    warnings.filters[:] = [one for one in warnings.filters if one[0] != "error"]  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]
    os.environ.pop("PYTHONWARNINGS", None)


def _ignore_settings_of_matplotlib() -> None:
    """Ignore the backend of a notebook, and any matplotlibrc; one in the current folder is read at the first import."""
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
    if os.path.exists("matplotlibrc"):
        here = os.open(".", os.O_RDONLY)
        os.chdir(os.path.dirname(__file__))
        try:
            import matplotlib  # noqa: F401
        finally:
            os.fchdir(here)
            os.close(here)
