"""`python -m ablate.timm SCRIPT …` runs one of timm's scripts with this suite's models known to it.

timm's train.py, validate.py and benchmark.py are files of its repository, not of its package. They run unchanged, in
this interpreter, as if Python had been given the script itself; under torchrun too: `torchrun … -m ablate.timm SCRIPT`.
"""

from __future__ import annotations

import pickle
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ablate.spec.errors import SpecError

WRONG = 2


def main(arguments: list[str]) -> int:
    """Run a script; the exit code is 2 where a request was wrong, and the script's own otherwise."""
    try:
        run(arguments)
    except SpecError as error:
        return _wrong(str(error))
    except RuntimeError as error:
        if not isinstance(error.__cause__, pickle.UnpicklingError):
            raise
        return _wrong("a weight file is refused: it is no pickle of tensors alone, and unpickling it could run code")
    return 0


def run(arguments: list[str]) -> None:
    """Run `[script, argument, …]` as `__main__`, after the models have been registered.

    Raises:
        SpecError: when there is no such script, or a model asked for cannot be built or loaded.
    """
    script = Path(arguments[0]) if arguments else None
    if script is None or not script.is_file():
        raise SpecError(
            ("there is no script " + arguments[0] if arguments else "no script is given")
            + "; wanted is the path of timm's train.py, validate.py or benchmark.py, then its own options"
        )
    import ablate.zoo.timm_models  # noqa: F401 - importing registers them

    with _as_python_would(script, arguments):
        runpy.run_path(str(script), run_name="__main__")


@contextmanager
def _as_python_would(script: Path, arguments: list[str]) -> Iterator[None]:
    """A script finds its own arguments in sys.argv and its folder at the head of sys.path."""
    argv, path = sys.argv[:], sys.path[:]
    sys.argv[:], sys.path[:] = arguments, [str(script.resolve().parent), *path]
    try:
        yield
    finally:
        sys.argv[:], sys.path[:] = argv, path


def _wrong(sentence: str) -> int:
    print(f"ablate: {sentence}", file=sys.stderr)
    return WRONG
