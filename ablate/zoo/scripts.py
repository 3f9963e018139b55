"""`python -m ablate.timm SCRIPT …`: run a timm script after registering the models of ablate.

timm's train.py, validate.py and benchmark.py are files of its repository, not of its package. They run unchanged, in
this interpreter, as if Python had started the script itself; also with torchrun: `torchrun … -m ablate.timm SCRIPT`.
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
    """Run a script; return exit code 2 for a user's mistake, else 0."""
    try:
        run(arguments)
    except SpecError as error:
        return _report(str(error))
    except RuntimeError as error:
        if not isinstance(error.__cause__, pickle.UnpicklingError):
            raise
        return _report("a weight file is refused: it contains more than tensors, and unpickling it could run code")
    return 0


def run(arguments: list[str]) -> None:
    """Register the models, then run `[script, argument, …]` as `__main__`.

    Raises:
        SpecError: when there is no such script, or a requested model cannot be built or loaded.
    """
    script = Path(arguments[0]) if arguments else None
    if script is None or not script.is_file():
        raise SpecError(
            ("there is no script " + arguments[0] if arguments else "the path of a script is missing")
            + "; pass the path of timm's train.py, validate.py or benchmark.py, then its options"
        )
    import ablate.zoo.timm_models  # noqa: F401 - importing registers them

    with _set_arguments(script, arguments):
        runpy.run_path(str(script), run_name="__main__")


@contextmanager
def _set_arguments(script: Path, arguments: list[str]) -> Iterator[None]:
    """Set sys.argv to the arguments, and sys.path[0] to the folder of the script, as Python does."""
    argv, path = sys.argv[:], sys.path[:]
    sys.argv[:], sys.path[:] = arguments, [str(script.resolve().parent), *path]
    try:
        yield
    finally:
        sys.argv[:], sys.path[:] = argv, path


def _report(sentence: str) -> int:
    print(f"ablate: {sentence}", file=sys.stderr)
    return WRONG
