"""The command `ablate`. It is outside the package `ablate`, which a distribution of that name can replace."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command line, or exit with code 2 if another distribution has replaced its package."""
    try:
        from ablate.startup import settle

        settle()
        from ablate.cli import main as run_command
    except ImportError:
        if (foreign := _foreign_distribution()) is None:
            raise
        print(
            f"ablate: the distribution {foreign}, another project, has replaced the package of ablate-vision; "
            "run pip uninstall ablate, then install ablate-vision again",
            file=sys.stderr,
        )
        sys.exit(2)
    run_command()


def _foreign_distribution() -> str | None:
    """Return name, version and path of another project's distribution `ablate`; None if there is none."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution("ablate")
    except PackageNotFoundError:
        return None
    if found.entry_points.select(group="console_scripts", name="ablate"):
        return None  # before it was called ablate-vision, this project was called ablate
    return f"ablate {found.version} in {Path(str(found.locate_file(''))).absolute()}"
